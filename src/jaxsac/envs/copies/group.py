"""What copies of an environment do together, wherever they are: here, in workers or in a pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import gymnasium
import numpy as np

from jaxsac.envs.action_log import ActionLog
from jaxsac.types import PyTree

T = TypeVar("T")


class Stepped(NamedTuple):
    """What a step of N copies returned."""

    observation: PyTree
    """(N, ...)"""
    reward: np.ndarray
    """float32 (N,)"""
    terminated: np.ndarray
    """bool (N,)"""
    truncated: np.ndarray
    """bool (N,)"""


class Restarted(NamedTuple):
    """The first observations of some copies' next episodes, and what those start from."""

    observation: PyTree
    generators: list[dict[str, Any] | None]
    """As `ActionLog.generator`."""


class Followed(NamedTuple):
    """Where N copies have come to, by the logs of others."""

    observation: PyTree
    """(N, ...)"""
    returns: np.ndarray
    """Of the episode so far, float64 (N,)."""
    lengths: np.ndarray
    """Likewise, int64 (N,)."""


class Group(Protocol):
    """N copies of an environment. Observations come stacked, in the dtypes that are learned on."""

    observation_space: gymnasium.Space
    action_space: gymnasium.Space

    def __len__(self) -> int:
        """N."""
        ...

    def ask_first(self, question: Callable[..., T], *arguments: Any) -> T:
        """What a function says of the first copy and of further arguments, which are plain data."""
        ...

    def reset(self, seeds: Sequence[int]) -> PyTree:
        """Starts an episode in every copy, each by a seed; the first observations (N, ...)."""
        ...

    def restart(self, indices: Sequence[int]) -> Restarted:
        """Starts the next episode of some copies; `indices` ascend."""
        ...

    def step(self, actions: np.ndarray) -> Stepped:
        """Steps every copy; `actions` (N, ...) are in the environment's own units."""
        ...

    def follow(self, logs: Sequence[ActionLog], actions: Sequence[np.ndarray]) -> Followed:
        """Brings every copy to the end of a log.

        Args:
          logs: one for each copy.
          actions: those of each log (T, ...), in the environment's own units.
        """
        ...

    def close(self) -> None:
        """Closes every copy, also after one that raises."""
        ...
