"""The score of a run: its mean return over the last fifth of its steps."""

from __future__ import annotations

import numpy as np

WINDOW = 0.2
"""Share of the steps, the last ones, over which a score is taken."""


def window_start(start: float, end: float) -> float:
    """Where the last fifth of `end` steps begins; not before `start`, the first known one."""
    return max(start, (1 - WINDOW) * end)


def mean_over_steps(steps: np.ndarray, returns: np.ndarray, low: float, high: float) -> float:
    """Mean of one seed's returns from step `low` to step `high`, with straight lines between.

    It counts steps, not evaluations: how often this run was evaluated, or another beside it,
    changes nothing.

    Args:
      steps: (N,), increasing.
      returns: (N,), at those steps; before the first and after the last they are as there.
      low: from here.
      high: to here, not below `low`.
    """
    inside = steps[(steps > low) & (steps < high)]
    at = np.concatenate([[low], inside, [high]])
    found = np.interp(at, steps, returns)
    if low == high:
        return float(found[-1])
    # From the first one, so that a constant is its own mean to the last bit: ties count.
    return float(found[0] + np.trapezoid(found - found[0], at) / (high - low))
