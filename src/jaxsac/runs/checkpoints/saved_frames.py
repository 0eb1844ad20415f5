"""The observations of a saved replay that holds the numbers of their frames (`data.frames`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jaxsac.data import frames
from jaxsac.data.frames import Frames
from jaxsac.runs.checkpoints import checkpoint, rings
from jaxsac.types import PyTree, Transition


class SavedFrames:
    """The frames of one member.

    Attributes:
      whole: the latest so many transitions of its replay have all of their frames.
    """

    def __init__(
        self, checkpoints: Path, step: int, members: list[str], member: str, structs: Frames
    ) -> None:
        """Reads them.

        Args:
          checkpoints: folder of a run.
          step: of the checkpoint.
          members: the names of all.
          member: whose.
          structs: of the frames of all.

        Raises:
          BundleError: they are missing or damaged.
        """
        counters = {"frames": {"written": structs.written, "whole": structs.whole}}
        index = members.index(member)
        found = checkpoint.load(checkpoints, step, "learning", counters, row=index, partial=True)[
            "frames"
        ]
        filled = rings.filled(structs.rows, min(int(found["written"]), structs.capacity))
        self._rows = checkpoint.load(checkpoints, step, rings.frames_part(member), filled)
        self._spec, self.whole = structs.spec, int(found["whole"])

    def stacked(self, steps: Transition) -> Transition:
        """Transitions as agents see them."""
        return self._shown(steps, slice(None))

    def latest(self, steps: Transition) -> Transition:
        """Transitions with the latest observation of each stack alone, as environments know it."""
        return self._shown(steps, slice(-1, None))

    def _shown(self, steps: Transition, which: slice) -> Transition:
        observation, next_observation = (
            self._stacks(numbers[..., which])
            for numbers in (steps.observation, steps.next_observation)
        )
        return steps._replace(observation=observation, next_observation=next_observation)

    def _stacks(self, numbers: np.ndarray) -> PyTree:
        return frames.stacks(self._spec, self._rows, numbers)
