"""The parts of a sweep that several workers train side by side.

Members do not know of each other, so a part of a group is another group with a run directory of
its own, and how a group is split changes nothing in what its members learn.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from pathlib import Path

from jaxsac.runner import sweep
from jaxsac.runner.run_directory import RunDirectory
from jaxsac.runner.sweep import Group


def plan(directory: Path, groups: list[Group], workers: int) -> list[Group]:
    """The parts of all groups, for every worker one of each group.

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


def _part(group: Group, name: str, points: range, seeds: range) -> Group:
    mine = [group.points[index] for index in points]
    base = dataclasses.replace(group.config, seed=group.config.seed + seeds.start, seeds=len(seeds))
    return Group(name, sweep.config_for(base, mine), mine, group.first_point + points.start)


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
