"""Per-seed CSV files: one row at every log point, flushed at once, never held back."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType
from typing import Any

COLUMNS = (
    "step",
    "updates",
    "utd",
    "wall_time",
    "train_return",
    "train_length",
    "train_episodes",
    "eval_return",
    "eval_return_std",
    "eval_length",
    "critic_loss",
    "actor_loss",
    "alpha_loss",
    "alpha",
    "entropy",
    "q_mean",
    "target_mean",
    "critic_gradient_norm",
    "actor_gradient_norm",
    "alpha_gradient_norm",
    "skipped",
    "discarded",
)
"""step: transitions so far. utd: updates per transition since learning started. wall_time: seconds
of training so far. train_*: means over the episodes of the sampled policy that ended since the
last row. eval_*: mean and standard deviation over the deterministic episodes. skipped: updates left
out, discarded: environment steps left out, both so far. An empty cell: nothing to report."""


class MetricsWriter:
    """Appends rows to `directory/seed-NNNN.csv`, one file a seed."""

    def __init__(self, directory: Path, members: list[int]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._files = [path(directory, member).open("w", newline="") for member in members]
        self._writers: list[Any] = [csv.DictWriter(file, COLUMNS) for file in self._files]
        for writer in self._writers:
            writer.writeheader()

    def write(self, seed_index: int, row: dict[str, Any]) -> None:
        """Writes one row; columns that are left out or None become empty cells."""
        self._writers[seed_index].writerow({k: _text(v) for k, v in row.items()})
        self._files[seed_index].flush()

    def __enter__(self) -> MetricsWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for file in self._files:
            file.close()


def path(directory: Path, member: int) -> Path:
    """Where the metrics of seed number `member` lie."""
    return directory / f"seed-{member:04d}.csv"


def read(file: Path) -> list[dict[str, float | None]]:
    """The rows of one seed; an empty cell becomes None."""
    with file.open(newline="") as lines:
        return [
            {name: float(cell) if cell else None for name, cell in row.items()}
            for row in csv.DictReader(lines)
        ]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
