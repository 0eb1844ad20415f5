"""The numbers of a report as JSON and CSV, and what must be said beside them."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxsac.reports.across import THRESHOLDS, Across
from jaxsac.reports.numbers import Improvement, Result, Task
from jaxsac.reports.population import SIMULATORS, differing
from jaxsac.reports.reference import Reference
from jaxsac.reports.statistics import Estimate
from jaxsac.runs.settings.settings import file_name as file_name

COLUMNS: tuple[str, ...] = (
    "env",
    "run",
    "other",
    "quantity",
    "step",
    "seeds",
    "value",
    "low",
    "high",
    "p",
)


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Everything that a report shows."""

    directory: Path
    """Where its files are."""
    tasks: list[Task]
    """One for each environment."""
    across: Across | None
    """All environments together; None where they have no setting in common."""
    references: dict[str, list[Reference]]
    """Published curves, by environment."""
    notes: list[str]
    """What a reader must know."""


def remarks(task: Task) -> list[str]:
    """What a reader of an environment's numbers must know: who is not at the end, and so on."""
    found = list(task.notes)
    for result in task.results:
        population = result.population
        reached = min(last for _, last in population.spans.values())
        if not population.complete:
            found.append(
                f"{result.label} is not finished: evaluated up to {reached:,.0f} of "
                f"{population.steps:,} steps."
            )
        if len(result.finals) == 1:
            found.append(f"{result.label} has one seed: no interval can be given.")
    last = max(last for r in task.results for _, last in r.population.spans.values())
    if last > task.end:
        found.append(
            f"{task.env}: scores count up to {task.end:,.0f} steps, the last at which every seed "
            "has been evaluated."
        )
    for name in SIMULATORS:
        versions = {result.population.simulators.get(name) for result in task.results} - {None}
        if len(versions) > 1:
            listed = ", ".join(sorted(map(str, versions)))
            found.append(f"{task.env} was stepped by different versions of {name}: {listed}.")
    return found


def to_json(numbers: Numbers) -> dict[str, Any]:
    """All numbers, by name; None for one that is not finite, which JSON cannot say."""
    return _without_nan(
        {
            "tasks": [_task(task, numbers.references[task.env]) for task in numbers.tasks],
            "across": None if numbers.across is None else _across(numbers.across),
            "notes": numbers.notes,
        }
    )


def to_csv(numbers: Numbers) -> str:
    """A tidy table: a row for every number, with its interval where it has one."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for task in numbers.tasks:
        writer.writerows(_rows(task))
    if numbers.across is not None:
        for method in numbers.across.methods:
            seeds = min(map(len, method.scores))  # of an environment, as beside each comparison
            row = {"run": method.label, "quantity": "normalized_final_score", "seeds": seeds}
            writer.writerow(row | _cells(method.iqm))
        writer.writerows(_improvement_row(each) for each in numbers.across.improvements)
    return text.getvalue()


def _rows(task: Task) -> Iterator[dict[str, Any]]:
    for result in task.results:
        row = {"env": task.env, "run": result.label, "seeds": len(result.finals)}
        for quantity, estimate in (("final_score", result.final), ("area", result.area)):
            yield row | {"quantity": quantity, "step": f"{task.end:.12g}"} | _cells(estimate)
        if task.chances is not None:
            chance = task.chances[result.label]
            yield row | {"quantity": "chance_of_best"} | _cells(Estimate(chance))
        curve = result.curve
        for index, step in enumerate(curve.steps):
            ends = (None, None)
            if curve.low is not None and curve.high is not None:
                ends = (float(curve.low[index]), float(curve.high[index]))
            estimate = Estimate(float(curve.iqm[index]), *ends)
            yield row | {"quantity": "iqm", "step": f"{step:.12g}"} | _cells(estimate)
    for each in task.improvements:
        yield {"env": task.env} | _improvement_row(each)


def _improvement_row(each: Improvement) -> dict[str, Any]:
    return {
        "run": each.first, "other": each.second, "quantity": "probability_of_improvement",
        "seeds": "{} and {}".format(*each.seeds),
        "p": "" if each.p_value is None else f"{each.p_value:.4g}",
    } | _cells(each.probability)  # fmt: skip


def _cells(estimate: Estimate) -> dict[str, str]:
    return {n: f"{v:.10g}" for n, v in estimate._asdict().items() if v is not None}


def _task(task: Task, references: list[Reference]) -> dict[str, Any]:
    varied = differing([result.population.settings for result in task.results])
    return {
        "env": task.env,
        "return": task.results[0].population.column,
        "first_step": task.start,
        "last_step": task.end,
        "runs": [_result(result, task, varied) for result in task.results],
        "improvements": [_improvement(each) for each in task.improvements],
        "published": [
            reference._asdict() | {"steps": reference.steps.tolist(), "iqm": reference.iqm.tolist()}
            for reference in references
        ],
    }


def _result(result: Result, task: Task, varied: list[str]) -> dict[str, Any]:
    curve, population = result.curve, result.population
    return {
        "run": result.label,
        "path": str(population.path),
        "settings": {name: population.settings.get(name) for name in varied},
        "complete": population.complete,
        "seeds": list(population.series),
        "final_score": result.final._asdict(),
        "area": result.area._asdict(),
        "final_score_by_seed": {str(seed): score for seed, score in result.finals.items()},
        "area_by_seed": {str(seed): area for seed, area in result.areas.items()},
        "chance_of_best": None if task.chances is None else task.chances[result.label],
        "curve": {n: None if v is None else v.tolist() for n, v in curve._asdict().items()},
    }


def _improvement(each: Improvement) -> dict[str, Any]:
    return each._asdict() | {"probability": each.probability._asdict()}


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _across(across: Across) -> dict[str, Any]:
    return {
        "envs": across.envs,
        "thresholds": THRESHOLDS.tolist(),
        "runs": [
            {
                "run": method.label,
                "normalized_final_scores": [scores.tolist() for scores in method.scores],
                "iqm": method.iqm._asdict(),
                "profile": method.profile.tolist(),
                "low": None if method.low is None else method.low.tolist(),
                "high": None if method.high is None else method.high.tolist(),
            }
            for method in across.methods
        ],
        "improvements": [_improvement(each) for each in across.improvements],
    }
