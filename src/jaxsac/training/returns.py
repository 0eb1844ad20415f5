"""Returns of episodes, and their sums by seed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jaxsac.envs.step_result import EpisodeEnd


class Evaluation(NamedTuple):
    """Undiscounted returns and lengths, each (S, episodes)."""

    returns: np.ndarray
    """NaN for an episode with a NaN or an infinity in it."""
    lengths: np.ndarray


def without_return(returns: np.ndarray) -> list[str]:
    """A sentence on the episodes that have no return, if there are any."""
    if not (lost := int(np.isnan(returns).sum())):
        return []
    return [
        f"{lost:,} of {returns.size:,} episodes of this evaluation had a NaN or an infinity in an "
        "observation or a reward, and have no return: a mean with one of them is NaN."
    ]


class Totals(NamedTuple):
    """What training has come to, summed by seed; each (S,), of NumPy or of JAX."""

    episodes: Any
    """Number of those that have ended."""
    returns: Any
    """Sum of theirs."""
    lengths: Any
    """Sum of theirs."""
    discarded: Any
    """Environment steps that are no transitions because of a number that is not finite."""

    @classmethod
    def none(cls, num_seeds: int) -> Totals:
        """Of no step at all."""
        return cls(*np.zeros((4, num_seeds)))

    @classmethod
    def of(cls, end: EpisodeEnd, valid: Any) -> Totals:
        """Of one step of all environments, (S, E)."""
        return cls(
            episodes=end.mask.sum(axis=1),
            returns=end.episode_return.sum(axis=1, where=end.mask),
            lengths=end.episode_length.sum(axis=1, where=end.mask),
            discarded=(~valid).sum(axis=1),
        )

    def __add__(self, other: Totals) -> Totals:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Totals(*(a + b for a, b in zip(self, other, strict=True)))
