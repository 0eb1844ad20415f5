"""The numbers of a report: curves, scores, and how sure it is that one is better than another.

Nothing depends on the order of runs or of seeds: values are sorted before they are resampled.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxsac.reports import statistics
from jaxsac.reports.population import Population
from jaxsac.reports.statistics import Estimate

DO_NOT_DIFFER, TOO_FEW = "these do not differ", "too few seeds to be sure"
WINDOW = 0.2
"""Share of the steps, the last ones, over which the final score is taken."""
MOST_PAIRED = 8
"""Populations of which every two are compared; of more, the best with each of the others."""
LONGEST_CURVE = 200
"""Steps at which the curve of many seeds is computed, spread over those that there are."""


class Curve(NamedTuple):
    """The IQM of a population's seeds, on the steps that all of them have been through."""

    steps: np.ndarray
    iqm: np.ndarray
    low: np.ndarray | None
    """Of the 95 % interval at each step; None of one seed."""
    high: np.ndarray | None


class Result(NamedTuple):
    """What one population shows."""

    population: Population
    curve: Curve
    finals: dict[int, float]
    """By seed: its mean return over the last fifth of the task's steps."""
    areas: dict[int, float]
    """By seed: the area under its curve over the number of steps, that is its mean return."""
    final: Estimate
    area: Estimate

    @property
    def label(self) -> str:
        """What the population is called."""
        return self.population.label


class Improvement(NamedTuple):
    """How likely a seed of the first scores higher than one of the second."""

    first: str
    second: str
    seeds: tuple[int, int]
    probability: Estimate
    p_value: float | None
    """Of `statistics.p_value`; None where either has one seed."""
    verdict: str
    differs: bool
    """Whether the verdict is that one is better."""


@dataclasses.dataclass(frozen=True)
class Task:
    """The populations of one environment."""

    env: str
    results: list[Result]
    start: float
    """First step that all seeds have a return at."""
    end: float
    """Last one; scores are taken up to it."""
    improvements: list[Improvement]
    chances: dict[str, float] | None
    """By label: share of the resamples in which it is the best; None with a seed alone."""

    @property
    def best(self) -> Result:
        """The population with the highest final score."""
        return ranked(self.results)[0]


def ranked(results: Sequence[Result]) -> list[Result]:
    """The highest final score first."""
    return sorted(results, key=lambda result: (-result.final.value, result.label))


def task(populations: Sequence[Population]) -> Task:
    """All numbers of the populations of one environment.

    Raises:
      ValueError: they have no steps in common.
    """
    every = [values[:, 0] for p in populations for values in p.series.values()]
    start, end = max(steps[0] for steps in every), min(steps[-1] for steps in every)
    if start > end:
        raise ValueError(_nothing_in_common(populations, start, end))
    steps = np.unique(np.concatenate(every))
    steps = steps[(steps >= start) & (steps <= end)]
    results = [_result(population, steps) for population in populations]
    return Task(
        env=populations[0].env,
        results=results,
        start=float(start),
        end=float(end),
        improvements=_improvements(results),
        chances=_chances(results),
    )


def improvement(
    first: str, second: str, scores: tuple[statistics.Scores, statistics.Scores]
) -> Improvement:
    """Compares two, task by task, by a number for each seed; exactly mirrored when turned around.

    Args:
      first: what the first is called.
      second: and the second.
      scores: of the one and of the other, an array for each task in both.
    """
    one, other = (list(map(np.sort, each)) for each in scores)
    seeds = (min(map(len, one)), min(map(len, other)))
    rng = np.random.default_rng(0)
    in_order = [list(task) for task in one] <= [list(task) for task in other]
    lower, upper = (one, other) if in_order else (other, one)
    found = statistics.improvement_estimate(lower, upper, rng)
    p = statistics.p_value(lower, upper, rng) if min(seeds) > 1 else None
    if not in_order:
        found = Estimate(1 - found.value, *(_complement(end) for end in reversed(found[1:])))
    orders = math.prod(math.comb(len(a) + len(b), len(a)) for a, b in zip(one, other, strict=True))
    doubt = _doubt(found, p, least_p=2 / orders)
    better, worse = (first, second) if found.value > 0.5 else (second, first)
    verdict = doubt or f"{better} is better than {worse}"
    return Improvement(first, second, seeds, found, p, verdict, differs=doubt is None)


def _result(population: Population, steps: np.ndarray) -> Result:
    late = steps > (1 - WINDOW) * steps[-1]
    on_grid = {seed: np.interp(steps, *values.T) for seed, values in population.series.items()}
    finals = {seed: float(values[late].mean()) for seed, values in on_grid.items()}
    areas = {seed: _area(steps, values) for seed, values in on_grid.items()}
    return Result(
        population, _curve(population), finals, areas, _estimate(finals), _estimate(areas)
    )


def _area(steps: np.ndarray, values: np.ndarray) -> float:
    length = steps[-1] - steps[0]
    return float(np.trapezoid(values, steps) / length) if length else float(values[0])


def _estimate(scores: dict[int, float]) -> Estimate:
    rng = np.random.default_rng(0)
    return statistics.iqm_estimate([np.array(sorted(scores.values()))], rng)


def _curve(population: Population) -> Curve:
    series = list(population.series.values())
    start, end = max(each[0, 0] for each in series), min(each[-1, 0] for each in series)
    steps = np.unique(np.concatenate([each[:, 0] for each in series]))
    steps = steps[(steps >= start) & (steps <= end)]
    shown = np.linspace(0, len(steps) - 1, min(len(steps), LONGEST_CURVE)).round().astype(int)
    steps = steps[shown]
    values = np.stack([np.interp(steps, *each.T) for each in series])
    middle = statistics.iqm(values, axis=0)
    if len(values) < 2:
        return Curve(steps, middle, None, None)
    ordered = values[np.lexsort(values.T)]
    rng = np.random.default_rng(0)
    draws = rng.integers(len(values), size=(statistics.RESAMPLES, len(values)))
    # Step by step, as all resamples of all steps could be more than the memory holds.
    ends = [statistics.interval(statistics.iqm(column[draws])) for column in ordered.T]
    low, high = np.array(ends).T
    return Curve(steps, middle, low, high)


def _improvements(results: list[Result]) -> list[Improvement]:
    if len(results) <= MOST_PAIRED:
        pairs = list(itertools.combinations(results, 2))
    else:
        best, *others = ranked(results)
        pairs = [(best, other) for other in others]
    return [
        improvement(a.label, b.label, ([np.array([*a.finals.values()])],
                                       [np.array([*b.finals.values()])]))
        for a, b in pairs
    ]  # fmt: skip


def _doubt(found: Estimate, p: float | None, least_p: float) -> str | None:
    """Why neither may be called better; None where nothing speaks against it.

    Args:
      found: probability of improvement.
      p: of no difference.
      least_p: that as many seeds could come to, however far apart they were.
    """
    if found.low is None or found.high is None:
        return "not to be told from one seed: train at least two of each, better five"
    if least_p > 1 - statistics.CONFIDENCE:
        return TOO_FEW
    if found.low <= 0.5 <= found.high:
        return DO_NOT_DIFFER
    return TOO_FEW if p is not None and p > 1 - statistics.CONFIDENCE else None


def _chances(results: list[Result]) -> dict[str, float] | None:
    scores = {result.label: tuple(sorted(result.finals.values())) for result in results}
    if len(results) < 2 or any(len(values) < 2 for values in scores.values()):
        return None
    names = sorted(scores, key=lambda label: (scores[label], label))
    chances = statistics.chance_of_best(
        [np.array(scores[name]) for name in names], np.random.default_rng(0)
    )
    by_name = dict(zip(names, chances.tolist(), strict=True))
    return {label: by_name[label] for label in scores}


def _nothing_in_common(populations: Sequence[Population], start: float, end: float) -> str:
    latest = max(
        (values[0, 0], p.label, seed) for p in populations for seed, values in p.series.items()
    )
    earliest = min(
        (values[-1, 0], p.label, seed) for p in populations for seed, values in p.series.items()
    )
    return (
        f"no step is common to all seeds in {populations[0].env}: the returns of seed "
        f"{latest[2]} of {latest[1]} begin at {start:,.0f}, and those of seed {earliest[2]} of "
        f"{earliest[1]} end at {end:,.0f} steps. Report them apart, or wait until it has got there."
    )


def _complement(end: float | None) -> float | None:
    return None if end is None else 1 - end
