"""Returns of episodes, as numbers of the host."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LONGEST_EPISODE = 100_000
"""Steps after which an evaluation gives up: most likely the environment never ends an episode."""


class Evaluation(NamedTuple):
    """Undiscounted returns and lengths, each (S, episodes)."""

    returns: np.ndarray
    """NaN for an episode with a NaN or an infinity in it."""
    lengths: np.ndarray


def endless() -> ValueError:
    """The error of an evaluation in which an episode does not end."""
    return ValueError(
        f"an episode of an evaluation has no end after {LONGEST_EPISODE:,} steps. Register the "
        "environment with max_episode_steps (a time limit is no termination, so values are "
        "bootstrapped beyond it), or train without evaluation: --eval-every 0."
    )


class Totals(NamedTuple):
    """Training episodes that have ended, summed by seed; each (S,)."""

    episodes: np.ndarray
    returns: np.ndarray
    lengths: np.ndarray

    @classmethod
    def none(cls, num_seeds: int) -> Totals:
        """No episode at all."""
        return cls(*np.zeros((3, num_seeds)))

    def __add__(self, other: Totals) -> Totals:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Totals(*(a + b for a, b in zip(self, other, strict=True)))
