"""CSV files by member: one row at every log point, flushed at once, never held back."""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

COLUMNS: tuple[str, ...] = (
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
    "value_loss",
    "value_mean",
    "value_gradient_norm",
    "skipped",
    "discarded",
)
"""step: transitions so far. utd: updates per transition since learning started. wall_time: seconds
of training so far. train_*: means over the episodes of the sampled policy that ended since the
last row. eval_*: mean and standard deviation over the deterministic episodes. skipped: updates left
out, discarded: environment steps left out, both so far. An empty cell: nothing to report."""


class MetricsWriter:
    """Appends rows to `directory/<member>.csv`, one file a member."""

    def __init__(
        self, directory: Path, members: list[str], lengths: Sequence[int] | None = None
    ) -> None:
        """Opens the files, and cuts each to a length.

        Args:
          directory: the run's `metrics` folder; created if need be.
          members: their names.
          lengths: by member, what `lengths` returned where the run resumes; nothing is kept by
            default.
        """
        lengths = [0] * len(members) if lengths is None else lengths
        directory.mkdir(parents=True, exist_ok=True)
        self._files = [path(directory, member).open("a+b") for member in members]
        self.complete = True
        """Whether every file had all of its rows."""
        for file, length in zip(self._files, lengths, strict=True):
            file.seek(0)
            rows = file.read(length)
            if b"\n" in rows and not rows.startswith(_line(COLUMNS)):
                raise ValueError(
                    f"{file.name} has other columns than this version of jaxsac writes: resume the "
                    "run with the version that began it, or give another run directory."
                )
            self.complete &= len(rows) == length
            # A row that was being written when its process was killed ends without a line break.
            file.truncate(rows.rfind(b"\n") + 1)
            if b"\n" not in rows:
                self._append(file, COLUMNS)

    def write(self, index: int, row: dict[str, Any]) -> None:
        """Writes one row; columns that are left out or None become empty cells."""
        if unknown := set(row) - set(COLUMNS):
            raise ValueError(f"no columns of the metrics: {sorted(unknown)}.")
        self._append(self._files[index], [_text(row.get(name)) for name in COLUMNS])

    def lengths(self) -> list[int]:
        """The length of each file in bytes, once it is on the disk."""
        for file in self._files:
            os.fsync(file.fileno())
        return [file.seek(0, os.SEEK_END) for file in self._files]

    def _append(self, file: BinaryIO, cells: Sequence[str]) -> None:
        file.write(_line(cells))
        file.flush()

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


def set_aside(directory: Path) -> Path | None:
    """Renames a folder of metrics with rows in it, so that a new run does not write over them.

    Returns:
      Its new name, or None where there are no rows.
    """
    if not any(file.read_bytes().count(b"\n") > 1 for file in directory.glob("*.csv")):
        return None
    names = (directory.with_name(f"{directory.name}-before-{n}") for n in itertools.count(1))
    kept = next(name for name in names if not name.exists())
    return directory.rename(kept)


def path(directory: Path, member: str) -> Path:
    """Where the metrics of a member lie."""
    return directory / f"{member}.csv"


def read(file: Path) -> list[dict[str, float | None]]:
    """The rows of one member; an empty cell becomes None.

    Raises:
      ValueError: it is no table of metrics; names the file.
    """
    try:
        with file.open(newline="") as lines:
            reader = csv.DictReader(lines)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ValueError("its columns are others")
            return [
                {name: float(cell) if cell else None for name, cell in row.items()}
                for row in reader
            ]
    except (ValueError, TypeError, csv.Error) as error:
        raise ValueError(f"{file} is not a table of metrics: {error}.") from error


def _line(cells: Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
