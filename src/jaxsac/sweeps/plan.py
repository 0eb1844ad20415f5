"""What a sweep trains: a grid or a random search over settings, in as few programs as possible.

Hyperparameters are leaves of the state, so all their values train together in one program. What
is static (network sizes, the batch size) needs a program for each value: a group, one after the
other. Members do not know of each other, so workers may train parts of a group side by side.
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.settings import idle
from jaxsac.runs.settings.config import RunConfig, setting_names
from jaxsac.runs.settings.values import whole_number
from jaxsac.sac.config import Config, Hyperparameters
from jaxsac.sac.effects import without_idle

HYPERPARAMETERS = tuple(setting_names(Hyperparameters))
NETWORK = tuple(setting_names(Config))
RUN = (
    "num_envs", "learning_starts", "utd", "update_every", "normalize_observations", "n_step",
    "reward_scale", "reward_scale_bound", "noise_hold", "reset_every", "batch_size",
    "replay_capacity", "prior_fraction", "offline_steps",
)  # fmt: skip

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


def groups(base: RunConfig, settings: tuple[str, ...], samples: int | None = None) -> list[Group]:
    """The groups of a sweep.

    Args:
      base: everything that is not swept over.
      settings: `name=value,value` for each setting, or `name=low:high` to draw numbers from; none
        for the seeds alone.
      samples: points to draw at random, the same for the same settings; by default the whole grid.
        Points that are alike count once.

    Raises:
      ValueError: a setting that there is not, that cannot take a value or that changes nothing
        beside the others, or a range without `samples`.
    """
    choices = dict(_parse(base, text) for text in settings)
    if not choices and samples is not None:
        raise ValueError("nothing to draw samples of: give settings, such as actor_lr=1e-4:1e-3.")
    if len(choices) < len(settings):
        raise ValueError(f"a setting is given twice in {list(settings)}.")
    by_name: dict[str, list[Point]] = {}
    for point in _distinct(_points(choices, samples)):
        static = [f"{name}={_text(point[name])}" for name in point if name not in HYPERPARAMETERS]
        by_name.setdefault(" ".join(static) or "all", []).append(point)
    firsts = itertools.accumulate(map(len, by_name.values()), initial=0)
    planned = [
        Group(_file_name(name), config_for(base, points), points, first)
        for (name, points), first in zip(by_name.items(), firsts, strict=False)
    ]
    for name in choices:
        _check_effect(name, planned)
    return planned


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
    agent = dataclasses.replace(base.agent, **network)
    # Where a choice is swept over, what belongs to another one is left out.
    hyperparameters = without_idle(base.hyperparameters, agent).replace(**swept)
    return dataclasses.replace(base, agent=agent, hyperparameters=hyperparameters, **run)


def parts(directory: Path, groups: list[Group], workers: int) -> list[Group]:
    """The parts of all groups that workers train side by side, for every worker one of each.

    A part of a group is another group with a run directory of its own, and how a group is split
    changes nothing in what its members learn.

    A directory keeps the parts that it was begun with, so that a sweep resumes in them with any
    other number of workers.

    Args:
      directory: of the sweep.
      groups: as planned.
      workers: number of workers.
    """
    return [
        part for group in groups for part in split(group, _begun_with(directory, group) or workers)
    ]


def split(group: Group, count: int) -> list[Group]:
    """At most `count` parts, as equal as cuts through points and seeds can make them."""
    points, seeds = len(group.points), group.config.seeds
    by_points, by_seeds = _cuts(points, seeds, count)
    total = by_points * by_seeds
    if total == 1:
        return [group]
    blocks = itertools.product(_pieces(points, by_points), _pieces(seeds, by_seeds))
    return [
        _part(group, f"{group.name}.part-{number}-of-{total}", *block)
        for number, block in enumerate(blocks, start=1)
    ]


def _parse(base: RunConfig, text: str) -> tuple[str, list[Any] | Range]:
    name, equals, values = text.partition("=")
    name = name.replace("-", "_")
    known = sorted((*HYPERPARAMETERS, *NETWORK, *RUN))
    if not equals or name not in known:
        close = [] if name in known else difflib.get_close_matches(name, known, 1)
        raise ValueError(
            f"cannot sweep over {text!r}: {f'is it {close[0]!r}? ' if close else ''}"
            f"Give name=value,value with one of {', '.join(known)}."
        )
    try:
        if ":" in values:
            if name not in HYPERPARAMETERS:
                raise ValueError(f"{name} is no hyperparameter, and has no range")
            low, high = map(float, values.split(":"))
            if not low < high:
                raise ValueError("a range begins with its lower end")
            return name, Range(low, high)
        return name, [_value(base, name, each) for each in values.split(",")]
    except ValueError as error:
        raise ValueError(
            f"cannot sweep over {text!r}: {error}. Give {name}=value,value for a grid, or low:high "
            "of a hyperparameter to draw from."
        ) from error


def _check_effect(name: str, planned: list[Group]) -> None:
    """Refuses a setting that changes nothing in any group, as each point would be trained again."""
    reasons = [idle.why(name, group.config) for group in planned]
    if all(reasons):
        raise ValueError(f"sweeping over {name} would change nothing: {reasons[0]}.")


def _value(base: RunConfig, name: str, text: str) -> Any:
    """The text as a value of the type that the setting has."""
    if name in HYPERPARAMETERS:
        return float(text)
    default = getattr(base.agent if name in NETWORK else base, name)
    if isinstance(default, bool):
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{text!r} is neither true nor false")
        return text.lower() == "true"
    if name.endswith("hidden_sizes"):  # 256x256
        return tuple(int(size) for size in text.split("x"))
    if isinstance(default, int):
        return whole_number(text)
    return text if default is None else type(default)(text)


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
            raise ValueError(
                f"{', '.join(ranges)} has a range: say how many points to draw, "
                "with samples (--samples 16)."
            )
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


def _part(group: Group, name: str, points: range, seeds: range) -> Group:
    mine = [group.points[index] for index in points]
    base = dataclasses.replace(group.config, seed=group.config.seed + seeds.start, seeds=len(seeds))
    return Group(name, config_for(base, mine), mine, group.first_point + points.start)


def _cuts(points: int, seeds: int, count: int) -> tuple[int, int]:
    """Numbers of pieces of points and of seeds: the largest part is to be as small as can be."""
    grids = itertools.product(range(1, min(points, count) + 1), range(1, min(seeds, count) + 1))

    def cost(grid: tuple[int, int]) -> tuple[int, ...]:
        largest = math.ceil(points / grid[0]) * math.ceil(seeds / grid[1])
        return largest, math.prod(grid), grid[1]

    return min((grid for grid in grids if math.prod(grid) <= count), key=cost)


def _pieces(length: int, count: int) -> list[range]:
    """Contiguous pieces of nearly equal length."""
    return [range(i * length // count, (i + 1) * length // count) for i in range(count)]


def _begun_with(directory: Path, group: Group) -> int | None:
    """The number of parts of a group that has been begun."""
    if RunDirectory(directory / group.name).manifest.exists():
        return 1
    pattern = re.compile(re.escape(group.name) + r"\.part-\d+-of-(\d+)")
    names = [pattern.fullmatch(file.parent.name) for file in directory.glob("*/manifest.json")]
    return max((int(name[1]) for name in names if name), default=None)
