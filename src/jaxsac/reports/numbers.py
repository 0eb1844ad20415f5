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
from jaxsac.runs.metrics.scores import mean_over_steps, window_start

NO_DIFFERENCE, TOO_FEW = "no difference was found", "too few seeds to be sure"
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
    """By seed: its mean return over the last fifth of the task's steps. A seed without finite
    returns there has no score."""
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
    better: str | None
    """The one that is better, where that is beyond doubt."""
    verdict: str


@dataclasses.dataclass(frozen=True)
class Task:
    """The populations of one environment."""

    env: str
    results: list[Result]
    start: float
    """First step that all seeds have been evaluated at."""
    end: float
    """Last one; scores are taken up to it."""
    improvements: list[Improvement]
    chances: dict[str, float] | None
    """By label: share of the resamples in which it is the best; None with a seed alone."""
    notes: list[str]
    """Whose score cannot be given, and why."""

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
    start, end = _common(populations)
    notes = [note for each in populations if (note := _unscored(each, start, end))]
    found = [_result(each, start, end) for each in populations if _scored(each, start, end)]
    if not found:  # better a score of less than none
        return _where_finite(populations, end)
    return Task(
        env=populations[0].env,
        results=found,
        start=start,
        end=end,
        improvements=_improvements(found),
        chances=_chances(found),
        notes=notes,
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
    winner, loser = (first, second) if found.value > 0.5 else (second, first)
    better = None if doubt else winner
    verdict = doubt or f"{winner} is better than {loser}"
    return Improvement(first, second, seeds, found, p, better, verdict)


def _common(populations: Sequence[Population]) -> tuple[float, float]:
    """The first and the last step that every seed has been evaluated at.

    Raises:
      ValueError: there are none between them.
    """
    spans = [span for population in populations for span in population.spans.values()]
    start, end = max(first for first, _ in spans), min(last for _, last in spans)
    if start > end:
        raise ValueError(_nothing_in_common(populations, start, end))
    return start, end


def _scored(population: Population, start: float, end: float) -> dict[int, np.ndarray]:
    """The seeds whose finite returns reach over the last fifth; of others it is not known."""
    late = window_start(start, end)
    series = population.series.items()
    return {seed: v for seed, v in series if v[0, 0] <= late and v[-1, 0] >= end}


def _unscored(population: Population, start: float, end: float) -> str | None:
    """Who has no score, and what that does to the others."""
    scored = _scored(population, start, end)
    without = [str(seed) for seed in population.series if seed not in scored]
    if not without:
        return None
    seeds = f"seed{'s' * (len(without) > 1)} {', '.join(without)}"
    why = f"returns are not finite up to {end:,.0f} steps"
    if not scored:
        return f"{population.label} is left out and has no score: of {seeds} the {why}."
    return (
        f"{population.label}: {seeds} {'have' if len(without) > 1 else 'has'} no score, as the "
        f"{why}. The score is that of the other seeds, and looks better than the run is."
    )


def _where_finite(populations: Sequence[Population], end: float) -> Task:
    """The task up to the last steps at which all returns are finite."""
    finite = [
        dataclasses.replace(
            each, spans={seed: (v[0, 0], v[-1, 0]) for seed, v in each.series.items()}
        )
        for each in populations
    ]
    found = task(finite)
    note = (
        f"{found.env}: no seed has finite returns up to {end:,.0f} steps. Scores count up to "
        f"{found.end:,.0f}, where those of all seeds are finite, and look better than the runs are."
    )
    return dataclasses.replace(found, notes=[note, *found.notes])


def _result(population: Population, start: float, end: float) -> Result:
    scored = _scored(population, start, end)
    finals = _means(scored, window_start(start, end), end)
    areas = _means(scored, start, end)
    return Result(population, _curve(scored), finals, areas, _estimate(finals), _estimate(areas))


def _means(series: dict[int, np.ndarray], low: float, high: float) -> dict[int, float]:
    return {seed: mean_over_steps(v[:, 0], v[:, 1], low, high) for seed, v in series.items()}


def _estimate(scores: dict[int, float]) -> Estimate:
    rng = np.random.default_rng(0)
    return statistics.iqm_estimate([np.array(sorted(scores.values()))], rng)


def _curve(scored: dict[int, np.ndarray]) -> Curve:
    series = list(scored.values())
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
        return NO_DIFFERENCE
    # Also of a p that is no number nothing may be concluded.
    return None if p is not None and p <= 1 - statistics.CONFIDENCE else TOO_FEW


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
    spans = [(span, p.label, seed) for p in populations for seed, span in p.spans.items()]
    latest = max((first, label, seed) for (first, _), label, seed in spans)
    earliest = min((last, label, seed) for (_, last), label, seed in spans)
    return (
        f"no step is common to all seeds in {populations[0].env}: the returns of seed "
        f"{latest[2]} of {latest[1]} begin at {start:,.0f}, and those of seed {earliest[2]} of "
        f"{earliest[1]} end at {end:,.0f} steps. Report them apart, or wait until it has got there."
    )


def _complement(end: float | None) -> float | None:
    return None if end is None else 1 - end
