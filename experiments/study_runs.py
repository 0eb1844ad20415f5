"""Runs of a study: trained or resumed, and their evaluations stored; shared by the experiments."""

from __future__ import annotations

import csv
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from jaxsac.runs import train as runner
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.display.display import Display
from jaxsac.runs.metrics import metrics
from jaxsac.runs.settings.config import RunConfig


def finish(config: RunConfig, directory: Path, title: str) -> None:
    """Trains a run, or resumes where it was; SIGINT and SIGTERM end the program."""
    with Display(config, Console()) as display:
        display.message(f"{title}: {directory}")
        if not runner.train(config, directory, display):
            raise SystemExit(130)


def evaluations(run: RunDirectory) -> Iterator[dict[str, Any]]:
    """The rows of a run's metrics that have an evaluation, with their seed; added seeds follow."""
    for group in run.groups():
        config = group.config()
        for seed, name in zip(config.member_seeds, config.member_names, strict=True):
            for row in metrics.read(metrics.path(group.metrics, name)):
                if row["eval_return"] is not None:
                    yield {**row, "seed": seed, "step": int(row["step"] or 0)}


def write_rows(file: Path, columns: Sequence[str], rows: Iterator[dict[str, Any]]) -> None:
    """Some columns of rows, as CSV."""
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def store(run: RunDirectory, folder: Path, more: Sequence[str] = ()) -> None:
    """Writes the evaluations of a run to `returns.csv`, with its manifest beside them.

    Args:
      run: the run.
      folder: to write to.
      more: columns of the metrics beside seed, step and eval_return.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["seed", "step", "eval_return", *more]
    write_rows(folder / "returns.csv", columns, evaluations(run))
    shutil.copy(run.manifest, folder)


def curves(
    file: Path, column: str = "eval_return", **where: str
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """What was stored.

    Args:
      file: with a row for each seed and step.
      column: that holds the returns.
      where: values of other columns that rows are to have.

    Returns:
      Steps (N,), and by seed its returns (N,).
    """
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with file.open() as lines:
        for row in csv.DictReader(lines):
            if all(row[name] == value for name, value in where.items()):
                found[row["seed"]].append((float(row["step"]), float(row[column])))
    each = {seed: np.array(points) for seed, points in found.items()}
    return next(iter(each.values()))[:, 0], {seed: points[:, 1] for seed, points in each.items()}
