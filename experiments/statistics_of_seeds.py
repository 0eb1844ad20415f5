"""What several seeds say about their mean; shared by the experiments."""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student_t


def interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the first axis, that of the seeds, and half of its 95 % interval by Student's t."""
    count = len(values)
    half = student_t.ppf(0.975, count - 1) * values.std(axis=0, ddof=1) / np.sqrt(count)
    return values.mean(axis=0), half
