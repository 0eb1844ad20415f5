"""What learning carries from step to step."""

from __future__ import annotations

from typing import NamedTuple

import jax

from jaxsac.data.frames import Frames
from jaxsac.data.n_step import Window
from jaxsac.data.normalize import Normalizer
from jaxsac.data.replay import Buffer
from jaxsac.data.return_scale import ReturnScale
from jaxsac.sac.held_noise import HeldNoise
from jaxsac.sac.state import State
from jaxsac.training.interval import Interval
from jaxsac.training.resets import Resets
from jaxsac.types import PyTree


class Policy(NamedTuple):
    """All that it takes to act: an agent, and the scale on which it sees observations."""

    agent: State
    normalizer: Normalizer


class Acting(NamedTuple):
    """What a step changes that only acts; every array has a leading seed axis."""

    normalizer: Normalizer
    noise: HeldNoise | tuple[()]
    key: jax.Array
    observation: PyTree
    action: jax.Array


class Carry(NamedTuple):
    """Everything that learning carries from step to step; every array has a leading seed axis."""

    agent: State
    normalizer: Normalizer
    """() where observations are used as they are."""
    window: Window | tuple[()]
    """What waits for the later steps of its return; () for returns of one step."""
    return_scale: ReturnScale | tuple[()]
    """What rewards are scaled by; () where they are used as they are."""
    noise: HeldNoise | tuple[()]
    """Of the latest action; () where each has noise of its own."""
    resets: Resets | tuple[()]
    """When agents start anew; () for never."""
    buffer: Buffer
    frames: Frames | tuple[()]
    """What the transitions of replay and window consist of; () where they hold observations."""
    key: jax.Array
    metrics: Interval
    """Of the updates since the latest row of a run's metrics."""
    failure: Buffer
    """What the flight recorder holds."""
    observation: PyTree
    """Where the environments are, as agents see it, (S, E, ...)."""
    action: jax.Array
    """To be taken there, (S, E, A) in [-1, 1]."""

    @property
    def policy(self) -> Policy:
        """What acts."""
        return Policy(self.agent, self.normalizer)

    @property
    def acting(self) -> Acting:
        """What a step changes that only acts."""
        return Acting(self.normalizer, self.noise, self.key, self.observation, self.action)

    def with_acting(self, acting: Acting) -> Carry:
        """The carry after steps that only acted."""
        return self._replace(**acting._asdict())

    @property
    def replay_arrays(self) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        """What grows with the capacity of replay: rows of transitions, and of their frames."""
        return self.buffer.rows, self.frames.rows if self.frames else {}
