"""What a sweep found: every member's metrics in one table, and a score for each seed."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxsac.runs import metrics
from jaxsac.runs.directory import RunDirectory
from jaxsac.sweeps.plan import Group

SCORE_WINDOW = 0.2
"""Share of a run's steps over which its score is taken."""


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
