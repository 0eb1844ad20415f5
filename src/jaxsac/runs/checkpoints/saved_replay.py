"""The replay of a member as a checkpoint holds it, the oldest transition first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsac.runs.checkpoints import checkpoint, rings
from jaxsac.runs.checkpoints.bundle import BundleError

Rows = dict[str, np.ndarray]


class SavedReplay:
    """The transitions that a checkpoint holds."""

    def __init__(self, checkpoints: Path, step: int, facts: dict[str, Any], capacity: int) -> None:
        """Reads how much there is.

        Args:
          checkpoints: folder of a run.
          step: of the checkpoint.
          facts: its manifest.
          capacity: transitions that the replay of one member holds.

        Raises:
          BundleError: it is without its replay, missing or damaged.
        """
        if not facts.get("replay", True):
            raise BundleError(f"{checkpoints.parent} was finished without its replay.")
        self._checkpoints, self._step, self._capacity = checkpoints, step, capacity
        members = facts["members"]
        self.sizes = dict(zip(members, map(int, facts["replay_sizes"]), strict=True))
        """Transitions of each member."""
        counters = {
            name: jax.ShapeDtypeStruct((len(members),), np.int32) for name in ("position", "size")
        }
        found = checkpoint.load(checkpoints, step, "learning", counters, partial=True)
        self._positions = dict(zip(members, found["position"], strict=True))

    def rows(self, member: str, widths: dict[str, int]) -> Rows:
        """The packed rows of one member by dtype, (N, width).

        Raises:
          BundleError: they are missing, damaged, or of other widths.
        """
        size = self.sizes[member]
        structs = {
            dtype: jax.ShapeDtypeStruct((size, width), dtype) for dtype, width in widths.items()
        }
        rows = checkpoint.load(self._checkpoints, self._step, rings.replay_part(member), structs)
        oldest = int(self._positions[member]) if size == self._capacity else 0
        return {dtype: np.roll(values, -oldest, axis=0) for dtype, values in rows.items()}
