"""What a sweep found: every member's metrics in one table, and a score for each seed."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxsac.runs import files
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.metrics import metrics
from jaxsac.runs.metrics.scores import mean_over_steps, window_start
from jaxsac.sweeps.plan import Group


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
    """Writes the rows as CSV, in one piece."""
    lines = io.StringIO()
    writer = csv.DictWriter(lines, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    files.write(file, lines.getvalue().encode())


def scores(table: list[dict[str, Any]], column: str) -> dict[int, np.ndarray]:
    """By point: the score of each seed that has returns in the last fifth of the steps.

    Args:
      table: from `rows`.
      column: "eval_return", or "train_return" of a sweep without evaluation.
    """
    end = max(row["step"] for row in table)
    start = window_start(0, end)
    found: dict[int, dict[int, float]] = {}
    known = (row for row in table if row[column] is not None)
    for (point, seed), rows in itertools.groupby(known, lambda row: (row["point"], row["seed"])):
        steps, returns = np.array([(row["step"], row[column]) for row in rows]).T
        if steps[-1] > start:
            score = mean_over_steps(steps, returns, start, end)
            found.setdefault(point, {})[seed] = score
    return {point: np.array([*of_seeds.values()]) for point, of_seeds in found.items()}


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
