"""Seeds that were trained alike, read from runs and sweeps: what a report speaks of."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsac.reports import comparable
from jaxsac.runs.directory.directory import RunDirectory, RunDirectoryError
from jaxsac.runs.metrics import metrics
from jaxsac.runs.settings import labels
from jaxsac.runs.settings.config import WITHOUT_EFFECT, RunConfig

GROUP = ("seed", "seeds", "steps", "seed_layout")
"""Settings that say how many there are and where, and not how a seed learns."""
SIMULATORS = ("gymnasium", "mujoco")


@dataclasses.dataclass(frozen=True)
class Population:
    """Seeds that were trained alike: a run with the seeds added to it, or a point of a sweep."""

    path: Path
    """The run or sweep that was given."""
    label: str
    """What it is called in the report."""
    env: str
    settings: dict[str, Any]
    """All settings that change what a seed learns or how it is evaluated, by name."""
    column: str
    """Of the metrics: eval_return, or train_return of a run without evaluation."""
    series: dict[int, np.ndarray]
    """By seed: (N, 2), steps and finite returns. Seeds without one are left out."""
    spans: dict[int, tuple[float, float]]
    """By seed: the first and the last step with a return, finite or not."""
    steps: int
    """Asked for, per seed."""
    complete: bool
    """Whether every seed has got there."""
    simulators: dict[str, str]
    """Versions of the packages that step the environment."""
    notes: tuple[str, ...] = ()
    """What a reader must know."""

    @property
    def learning(self) -> dict[str, Any]:
        """The settings of the algorithm, without those of the environment and of evaluation."""
        return {n: v for n, v in self.settings.items() if n not in comparable.CONDITIONS}


class _Part(NamedTuple):
    """A point of one run directory."""

    run: RunDirectory
    config: RunConfig
    point: int
    column: str
    """The returns that it is judged by."""


def read(path: Path) -> list[Population]:
    """The populations of a run or of a sweep.

    Args:
      path: a run directory, or the directory of a sweep (or any folder of runs).

    Returns:
      One of a run, with the seeds in its `more-seeds/`; one for each point of a sweep, whose parts
      are put together. They are labelled by the settings in which they differ.

    Raises:
      RunDirectoryError: there is no run, or its manifest cannot be read.
      ValueError: metrics that cannot be read, a seed that is there twice, or parts of one
        population that were evaluated in different ways.
    """
    alike: dict[str, list[_Part]] = {}
    for run in _directories(path):
        for group in run.groups():
            config = group.config()
            column = _column(group, config)
            for point in range(len(config.points)):
                what = [config.env, column, _settings(config, point)]
                key = json.dumps(what, sort_keys=True)
                alike.setdefault(key, []).append(_Part(group, config, point, column))
    found = [_population(path, parts) for parts in alike.values()]
    if len(found) == 1:
        return found
    varied = differing([population.settings for population in found])
    return [relabelled(each, describe(each.settings, varied) or each.label) for each in found]


def relabelled(population: Population, label: str) -> Population:
    """The same seeds, called something else."""
    return dataclasses.replace(population, label=label)


def differing(settings: list[dict[str, Any]]) -> list[str]:
    """The names of those settings that are not the same in all."""
    names = dict.fromkeys(name for each in settings for name in each)
    return [n for n in names if any(each.get(n) != settings[0].get(n) for each in settings)]


def describe(settings: dict[str, Any], names: list[str]) -> str:
    """Some settings as a person reads them: "actor_lr=1e-4 gamma=0.9"."""
    chosen = {name: settings.get(name) for name in names}
    return labels.settings({n: tuple(v) if isinstance(v, list) else v for n, v in chosen.items()})


def _directories(path: Path) -> list[RunDirectory]:
    run = RunDirectory(path)
    if run.manifest.exists():
        return [run]
    runs = [RunDirectory(file.parent) for file in sorted(path.glob("*/manifest.json"))]
    if not runs:
        what = "holds neither a run nor a sweep" if path.exists() else "does not exist"
        raise RunDirectoryError(
            f"{path} {what}: give a run directory, which has a manifest.json, or the directory of "
            "a sweep, whose folders have one."
        )
    return runs


def _settings(config: RunConfig, point: int) -> dict[str, Any]:
    values = config.to_json() | config.points[point]
    kept = (*comparable.CONDITIONS, *comparable.EVALUATION)
    return {
        name: value
        for name, value in values.items()
        if name not in ("env", *GROUP) and (name in kept or name not in WITHOUT_EFFECT)
    }


def _population(path: Path, parts: list[_Part]) -> Population:
    config, notes = parts[0].config, []
    spans: dict[int, tuple[float, float]] = {}
    name = path.resolve().name
    series: dict[int, np.ndarray] = {}
    seen: dict[int, Path] = {}
    for run, its_config, point, column in parts:
        for seed, file in _files(run, its_config, point):
            if seed in seen:
                raise ValueError(
                    f"seed {seed} is there twice: {seen[seed]} and {file}. Runs that are no parts "
                    "of one sweep are given one by one."
                )
            seen[seed] = file
            values = _series(file, column)
            finite = np.isfinite(values).all(axis=1)
            series[seed] = values[finite]
            if finite.any():
                spans[seed] = (float(values[0, 0]), float(values[-1, 0]))
            if odd := int((~finite).sum()):
                notes.append(f"{name}, seed {seed}: {odd} returns are not finite and left out.")
    if without := [seed for seed, values in series.items() if not len(values)]:
        notes.append(f"{name}: no return yet of {_seeds(without)}, which is left out.")
    notes += [said for part in parts if (said := part.run.describe_unknown_settings())]
    return Population(
        path=path,
        label=name,
        env=config.env,
        settings=_settings(config, parts[0].point),
        column=parts[0].column,
        series={seed: series[seed] for seed in sorted(series) if len(series[seed])},
        spans=spans,
        steps=max(part.config.steps for part in parts),
        complete=all(part.run.is_finished(part.config) for part in parts),
        simulators=_simulators(parts, name, notes),
        notes=tuple(dict.fromkeys(notes)),
    )


def _column(run: RunDirectory, config: RunConfig) -> str:
    """The returns that a run is judged by: those of its evaluations, if it has any.

    It may have been evaluated before it went on without.
    """
    files = (metrics.path(run.metrics, name) for name in config.member_names)
    evaluated = config.eval_every or any(len(_series(file, "eval_return")) for file in files)
    return "eval_return" if evaluated else "train_return"


def _files(run: RunDirectory, config: RunConfig, point: int) -> Iterator[tuple[int, Path]]:
    first = point * config.seeds
    for index in range(first, first + config.seeds):
        yield config.member_seeds[index], metrics.path(run.metrics, config.member_names[index])


def _series(file: Path, column: str) -> np.ndarray:
    """Steps and returns of one seed, (N, 2)."""
    rows = metrics.read(file) if file.exists() else []
    found = {row["step"]: row[column] for row in rows if row[column] is not None}
    return np.array(sorted(found.items()), float).reshape(-1, 2)


def _simulators(parts: list[_Part], name: str, notes: list[str]) -> dict[str, str]:
    each = [part.run.package_versions() for part in parts]
    versions = [{n: found[n] for n in SIMULATORS if n in found} for found in each]
    if any(found != versions[0] for found in versions):
        notes.append(f"{name}: its seeds were trained with different versions of the simulator.")
    return versions[0]


def _seeds(numbers: list[int]) -> str:
    return f"seed{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
