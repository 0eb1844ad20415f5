"""Settings that were trained in several environments: what they show in all of them together."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxsac.reports import statistics
from jaxsac.reports.numbers import Improvement, Result, Task, improvement
from jaxsac.reports.population import describe, differing
from jaxsac.reports.statistics import Estimate

THRESHOLDS = np.linspace(0, 1, 101)


class Method(NamedTuple):
    """One setting of the algorithm, in every environment."""

    label: str
    scores: list[np.ndarray]
    """By environment, (n,): normalized, 0 the lowest and 1 the highest seed of the report there."""
    iqm: Estimate
    profile: np.ndarray
    """Share of the seeds above each of `THRESHOLDS`."""
    low: np.ndarray | None
    high: np.ndarray | None


class Across(NamedTuple):
    """All environments together."""

    envs: list[str]
    methods: list[Method]
    improvements: list[Improvement]


def across(tasks: Sequence[Task]) -> Across | None:
    """Puts together what was trained with the same settings in every environment.

    Returns:
      None of one environment, or where no setting is in all of them exactly once.
    """
    alike: dict[str, list[tuple[int, Result]]] = {}
    for index, task in enumerate(tasks):
        for result in task.results:
            key = json.dumps(result.population.learning, sort_keys=True)
            alike.setdefault(key, []).append((index, result))
    everywhere = [
        [result for _, result in found]
        for found in alike.values()
        if [index for index, _ in found] == list(range(len(tasks)))
    ]
    if len(tasks) < 2 or not everywhere:
        return None
    scales = [_scale(task) for task in tasks]
    varied = differing([results[0].population.learning for results in everywhere])
    methods = [_method(results, scales, varied) for results in everywhere]
    pairs = [
        improvement(a.label, b.label, (a.scores, b.scores))
        for a, b in itertools.combinations(methods, 2)
    ]
    return Across([task.env for task in tasks], methods, pairs)


def _scale(task: Task) -> tuple[float, float]:
    finals = [score for result in task.results for score in result.finals.values()]
    return min(finals), max(finals)


def _method(results: list[Result], scales: list[tuple[float, float]], varied: list[str]) -> Method:
    scores = [
        np.sort([_normalized(score, *scale) for score in result.finals.values()])
        for result, scale in zip(results, scales, strict=True)
    ]
    names = list(dict.fromkeys(result.label for result in results))
    label = describe(results[0].population.learning, varied) or ", ".join(names)
    profile = statistics.profile(scores, THRESHOLDS)
    bounds = statistics.profile_interval(scores, THRESHOLDS, np.random.default_rng(0))
    low, high = (None, None) if bounds is None else bounds
    estimate = statistics.iqm_estimate(scores, np.random.default_rng(0))
    return Method(label, scores, estimate, profile, low, high)


def _normalized(score: float, low: float, high: float) -> float:
    """0 the lowest, 1 the highest; 1 where all seeds score alike."""
    return (score - low) / (high - low) if high > low else 1.0
