"""Returns of episodes, as numbers of the host."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Evaluation(NamedTuple):
    """Undiscounted returns and lengths, each (S, episodes)."""

    returns: np.ndarray
    """NaN for an episode with a NaN or an infinity in it."""
    lengths: np.ndarray


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
