"""What a few seeds show: interquartile mean, probability of improvement, and their intervals.

As in Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice"
(arXiv:2108.13264), and equal to their package rliable. Scores are a list with an array for each
task, (n,), a score for each seed. A resample draws the seeds of each task with replacement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

Scores = Sequence[np.ndarray]
Generator = np.random.Generator | np.random.RandomState
CONFIDENCE = 0.95
RESAMPLES = 2_000
"""Of every interval."""


class Estimate(NamedTuple):
    """A number that seeds show, and the interval in which it lies with 95 % confidence."""

    value: float
    low: float | None = None
    """None where seeds are too few for an interval."""
    high: float | None = None


def iqm(scores: np.ndarray, axis: int = -1) -> np.ndarray:
    """Interquartile mean: that of the scores without their lowest and highest quarter.

    Args:
      scores: any shape.
      axis: that of the seeds.

    Returns:
      The shape of `scores` without that axis. Of fewer than four seeds it is the mean.
    """
    return np.asarray(stats.trim_mean(scores, 0.25, axis=axis))


def resampled(scores: Scores, rng: Generator, count: int = RESAMPLES) -> list[np.ndarray]:
    """Stratified bootstrap: the seeds of each task, drawn again.

    Args:
      scores: for each task (n, ...): seeds first.
      rng: where the draws come from.
      count: number of resamples R.

    Returns:
      For each task (R, n, ...).
    """
    drawn = [[rng.choice(len(task), len(task)) for task in scores] for _ in range(count)]
    each = zip(*drawn, strict=True)
    return [task[np.array(indices)] for task, indices in zip(scores, each, strict=True)]


def interval(values: np.ndarray) -> np.ndarray:
    """The percentile interval of a statistic over resamples, (R, ...) -> (2, ...)."""
    rest = (1 - CONFIDENCE) / 2
    return np.percentile(values, [100 * rest, 100 * (1 - rest)], axis=0)


def iqm_estimate(scores: Scores, rng: Generator, count: int = RESAMPLES) -> Estimate:
    """The IQM over the seeds of all tasks."""
    value = float(iqm(np.concatenate(scores)))
    if not has_interval(scores):
        return Estimate(value)
    return Estimate(value, *interval(resampled_iqm(scores, rng, count)).tolist())


def resampled_iqm(scores: Scores, rng: Generator, count: int = RESAMPLES) -> np.ndarray:
    """The IQM over the seeds of all tasks in each resample, (R,)."""
    return iqm(np.concatenate(resampled(scores, rng, count), axis=1))


def has_interval(scores: Scores) -> bool:
    """Whether every task has two seeds: one alone does not say how much they differ."""
    return all(len(task) > 1 for task in scores)


def probability_of_improvement(first: Scores, second: Scores) -> float:
    """P(a seed of the first scores higher than one of the second), the mean over tasks.

    Mann and Whitney's U over the number of pairs: Σᵢⱼ 1[xᵢ > yⱼ] + ½·1[xᵢ = yⱼ], over n·m.

    Args:
      first: scores, task by task.
      second: scores in the same tasks, of any number of seeds.
    """
    return float(np.mean([_wins(x, y).mean() for x, y in zip(first, second, strict=True)]))


def improvement_estimate(
    first: Scores, second: Scores, rng: Generator, count: int = RESAMPLES
) -> Estimate:
    """The probability of improvement; both sides are resampled, each for itself."""
    value = probability_of_improvement(first, second)
    if not (has_interval(first) and has_interval(second)):
        return Estimate(value)
    wins = [_wins(x, y) for x, y in zip(first, second, strict=True)]
    of_resample = []
    for _ in range(count):
        rows = [rng.choice(len(task), len(task)) for task in first]
        columns = [rng.choice(len(task), len(task)) for task in second]
        each = zip(wins, rows, columns, strict=True)
        of_resample.append(np.mean([won[np.ix_(x, y)].mean() for won, x, y in each]))
    return Estimate(value, *interval(np.array(of_resample)).tolist())


def p_value(
    first: Scores, second: Scores, rng: np.random.Generator, count: int = RESAMPLES
) -> float:
    """How often a probability of improvement so far from ½ comes about by chance (two-sided).

    Of one task that is the Mann-Whitney test, exact for few seeds without ties; of several a
    permutation test that exchanges seeds within each task.

    The intervals of a bootstrap are too short for few seeds: of two populations that are alike,
    with 3, 4, 5 and 10 normal seeds each, they leave out ½ in 18, 9, 9 and 7 of 100 cases. With a
    p of at most 0.05 besides it is 0, 3, 2 and 5.

    Args:
      first: scores, task by task.
      second: scores in the same tasks.
      rng: where the permutations come from.
      count: number of permutations.
    """
    if len(first) == 1:
        return float(stats.mannwhitneyu(first[0], second[0]).pvalue)
    by_chance = np.zeros(count)
    for x, y in zip(first, second, strict=True):
        mixed = rng.permuted(np.tile(np.concatenate([x, y]), (count, 1)), axis=1)
        one, other = mixed[:, : len(x), None], mixed[:, None, len(x) :]
        by_chance += ((one > other) + 0.5 * (one == other)).mean(axis=(1, 2)) / len(first)
    found = abs(probability_of_improvement(first, second) - 0.5)
    as_far = np.abs(by_chance - 0.5) >= found - 1e-9
    return float((as_far.sum() + 1) / (count + 1))


def chance_of_best(populations: Sequence[np.ndarray], rng: Generator) -> np.ndarray:
    """In what share of the resamples each population has the highest IQM; ties are shared.

    Args:
      populations: the scores of each, (n,).
      rng: where the draws come from.

    Returns:
      Shares that sum to 1, one for each.
    """
    values = np.stack([resampled_iqm([scores], rng) for scores in populations])
    highest = values == values.max(axis=0)
    return (highest / highest.sum(axis=0)).mean(axis=1)


def profile(scores: Scores, thresholds: np.ndarray) -> np.ndarray:
    """Performance profile: the share of seeds, of all tasks, that score above each threshold."""
    return (np.concatenate(scores)[:, None] > thresholds).mean(axis=0)


def profile_interval(
    scores: Scores, thresholds: np.ndarray, rng: Generator, count: int = RESAMPLES
) -> np.ndarray | None:
    """The interval of `profile` at each threshold, (2, thresholds); None with a seed alone."""
    if not has_interval(scores):
        return None
    drawn = np.concatenate(resampled(scores, rng, count), axis=1)
    shares = [(drawn > threshold).mean(axis=1) for threshold in thresholds]
    return interval(np.stack(shares, axis=1))


def _wins(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """1 where a seed of x scores higher than one of y, ½ where alike, (n, m)."""
    return (x[:, None] > y) + 0.5 * (x[:, None] == y)
