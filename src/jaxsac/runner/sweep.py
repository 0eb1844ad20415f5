"""Sweeps: grids and random searches over settings, in as few programs as possible.

Hyperparameters are leaves of the state, so all their values train together in one program. What
is static (network sizes, the batch size) needs a program for each value: a group, one after the
other.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsac.runner import metrics
from jaxsac.runner.config import RunConfig
from jaxsac.runner.run_directory import RunDirectory
from jaxsac.sac.state import Config, Hyperparameters

HYPERPARAMETERS = tuple(f.name for f in dataclasses.fields(Hyperparameters))
NETWORK = tuple(f.name for f in dataclasses.fields(Config) if f.name not in ("actor", "critic"))
RUN = (
    "num_envs", "learning_starts", "utd", "update_every", "normalize_observations", "batch_size",
    "replay_capacity",
)  # fmt: skip
SCORE_WINDOW = 0.2
"""Share of a run's steps over which its score is taken."""

Point = dict[str, Any]
"""A value for each setting that is swept over."""


class Range(NamedTuple):
    """Numbers to draw from: by their logarithm when both ends are positive."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """One number, uniform or log-uniform."""
        if self.low > 0:
            return float(np.exp(rng.uniform(math.log(self.low), math.log(self.high))))
        return float(rng.uniform(self.low, self.high))


class Group(NamedTuple):
    """Points that one program trains."""

    name: str
    """Its run directory."""
    config: RunConfig
    points: list[Point]
    """In the order of `config.points`."""
    first_point: int = 0
    """Number of its first point in the sweep."""


def plan(base: RunConfig, settings: tuple[str, ...], samples: int | None = None) -> list[Group]:
    """The groups of a sweep.

    Args:
      base: everything that is not swept over.
      settings: `name=value,value` for each setting, or `name=low:high` to draw numbers from; none
        for the seeds alone.
      samples: points to draw at random, the same for the same settings; by default the whole grid.
        Points that are alike count once.

    Raises:
      ValueError: a setting that there is not, a value that it cannot take, or a range without
        `samples`.
    """
    choices = dict(_parse(base, text) for text in settings)
    if not choices and samples is not None:
        raise ValueError("nothing to draw samples of: give settings, such as actor_lr=1e-4:1e-3.")
    if len(choices) < len(settings):
        raise ValueError(f"a setting is given twice in {list(settings)}.")
    groups: dict[str, list[Point]] = {}
    for point in _distinct(_points(choices, samples)):
        static = [f"{name}={_text(point[name])}" for name in point if name not in HYPERPARAMETERS]
        groups.setdefault(" ".join(static) or "all", []).append(point)
    firsts = itertools.accumulate(map(len, groups.values()), initial=0)
    return [
        Group(_file_name(name), config_for(base, points), points, first)
        for (name, points), first in zip(groups.items(), firsts, strict=False)
    ]


def config_for(base: RunConfig, points: list[Point]) -> RunConfig:
    """The run that trains points which differ in hyperparameters alone."""
    first = points[0]
    network = {name: first[name] for name in first if name in NETWORK}
    run = {name: first[name] for name in first if name in RUN}
    swept = {
        name: tuple(point[name] for point in points) if len(points) > 1 else first[name]
        for name in first
        if name in HYPERPARAMETERS
    }
    return dataclasses.replace(
        base,
        agent=dataclasses.replace(base.agent, **network),
        hyperparameters=base.hyperparameters.replace(**swept),
        **run,
    )


def rows(directory: Path, groups: list[Group]) -> list[dict[str, Any]]:
    """Every row of every member's metrics, with its settings and seed: one tidy table.

    Args:
      directory: of the sweep.
      groups: as planned, or parts of them; those that have no metrics yet are left out.

    Returns:
      Rows by point, seed and step.
    """
    return sorted(_rows(directory, groups), key=lambda row: (row["point"], row["seed"]))


def write_table(file: Path, table: list[dict[str, Any]]) -> None:
    """Writes the rows as CSV."""
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


def scores(table: list[dict[str, Any]], column: str) -> dict[int, np.ndarray]:
    """By point: the score of each seed, its mean return in the last fifth of the steps.

    Args:
      table: from `rows`.
      column: "eval_return", or "train_return" of a sweep without evaluation.
    """
    start = (1 - SCORE_WINDOW) * max(row["step"] for row in table)
    late = [row for row in table if row["step"] > start and row[column] is not None]
    found: dict[int, np.ndarray] = {}
    for point in sorted({row["point"] for row in late}):
        mine = [row for row in late if row["point"] == point]
        by_seed = [
            np.mean([row[column] for row in mine if row["seed"] == seed])
            for seed in sorted({row["seed"] for row in mine})
        ]
        found[point] = np.array(by_seed)
    return found


def _rows(directory: Path, groups: list[Group]) -> Iterator[dict[str, Any]]:
    for group in groups:
        run, config = RunDirectory(directory / group.name), group.config
        for index, name in enumerate(config.member_names):
            point = index // config.seeds
            file = metrics.path(run.metrics, name)
            for row in metrics.read(file) if file.exists() else []:
                yield {
                    "member": f"{group.name}/{name}",
                    "point": group.first_point + point,
                    **group.points[point],
                    "seed": config.member_seeds[index],
                    "step": int(row["step"] or 0),
                    "train_return": row["train_return"],
                    "eval_return": row["eval_return"],
                }


def _parse(base: RunConfig, text: str) -> tuple[str, list[Any] | Range]:
    name, equals, values = text.partition("=")
    name = name.replace("-", "_")
    if not equals or name not in (*HYPERPARAMETERS, *NETWORK, *RUN):
        raise ValueError(
            f"cannot sweep over {text!r}: give name=value,value with one of "
            f"{', '.join(sorted((*HYPERPARAMETERS, *NETWORK, *RUN)))}."
        )
    try:
        if ":" in values:
            low, high = map(float, values.split(":"))
            if not low < high or name not in HYPERPARAMETERS:
                raise ValueError("a range is low:high, of a hyperparameter")
            return name, Range(low, high)
        return name, [_value(base, name, each) for each in values.split(",")]
    except ValueError as error:
        raise ValueError(f"cannot sweep over {text!r}: {error}.") from error


def _value(base: RunConfig, name: str, text: str) -> Any:
    """The text as a value of the type that the setting has."""
    if name in HYPERPARAMETERS:
        return float(text)
    default = getattr(base.agent if name in NETWORK else base, name)
    if isinstance(default, bool):
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{text!r} is neither true nor false")
        return text.lower() == "true"
    if isinstance(default, tuple):  # hidden sizes: 256x256
        return tuple(int(size) for size in text.split("x"))
    return type(default)(text)


def _distinct(points: list[Point]) -> list[Point]:
    """Each point once: drawn or given twice, it would be the same training again."""
    return [point for number, point in enumerate(points) if point not in points[:number]]


def _text(value: Any) -> str:
    """The inverse of `_value` for what is static."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _points(choices: dict[str, list[Any] | Range], samples: int | None) -> list[Point]:
    if samples is None:
        ranges = [name for name, values in choices.items() if isinstance(values, Range)]
        if ranges:
            raise ValueError(f"{', '.join(ranges)} has a range: say how many points to draw.")
        grid = itertools.product(*choices.values())
        return [dict(zip(choices, values, strict=True)) for values in grid]
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}.")
    rng = np.random.default_rng(0)

    def draw(values: list[Any] | Range) -> Any:
        if isinstance(values, Range):
            return values.draw(rng)
        return values[rng.integers(len(values))]

    return [{name: draw(values) for name, values in choices.items()} for _ in range(samples)]


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "=._-" else "_" for c in name)
