"""CSV files by member: one row at every log point, flushed at once, never held back.

Files are read by the names of their columns: a run that goes on with other metrics, in another
version for one, keeps the columns that its files have and adds those that are new.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from jaxsac.runs import files

RUN_COLUMNS: tuple[str, ...] = (
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
    "discarded",
)
"""What every run writes, in front of the metrics of its updates. step: transitions so far.
updates: so far, those on prior data alone included. utd: updates per transition since learning
started. wall_time: seconds of training, evaluating and saving so far, without those of the
compiler. train_*: means over the episodes of the sampled policy that ended since the last row.
eval_*: mean and standard deviation over the deterministic episodes. discarded: environment steps
left out so far. An empty cell: nothing to report."""


class MetricsWriter:
    """Appends rows to `directory/<member>.csv`, one file a member."""

    def __init__(
        self,
        directory: Path,
        members: list[str],
        columns: Sequence[str],
        rows: Sequence[int] | None = None,
    ) -> None:
        """Opens the files, and cuts each to a number of rows.

        Args:
          directory: the run's `metrics` folder; created if need be.
          members: their names.
          columns: what the rows to come may hold; those that a file has already keep their places.
          rows: by member, what `rows` returned where the run resumes; nothing is kept by default.

        Raises:
          ValueError: a file to be kept is no table of metrics; names it.
        """
        rows = [0] * len(members) if rows is None else rows
        directory.mkdir(parents=True, exist_ok=True)
        self._paths = [path(directory, member) for member in members]
        self._rows = list(rows)
        self._columns = [list(columns) for _ in members]
        self._files = [self._open(index) for index in range(len(members))]
        self.complete = self._rows == list(rows)
        """Whether every file had all of its rows."""

    def _open(self, index: int) -> BinaryIO:
        file = self._paths[index]
        there, kept = _kept(file, self._rows[index])
        self._rows[index] = len(kept)
        new = [name for name in self._columns[index] if name not in there]
        self._columns[index] = [*there, *new]
        return _opened(file, there, self._columns[index], kept)

    def reopen(self) -> list[Path]:
        """Makes the files anew that are not where they were any more, with the rows that are.

        Returns:
          Those files.
        """
        gone = [
            index
            for index, file in enumerate(self._files)
            if not files.is_in_place(file.fileno(), self._paths[index])
        ]
        for index in gone:
            self._paths[index].parent.mkdir(exist_ok=True)
            before, self._files[index] = self._files[index], self._open(index)
            before.close()
        return [self._paths[index] for index in gone]

    def write(self, index: int, row: dict[str, Any]) -> None:
        """Writes one row; columns that are left out or None become empty cells."""
        columns = self._columns[index]
        if unknown := set(row) - set(columns):
            raise ValueError(f"no columns of the metrics: {sorted(unknown)}.")
        self._files[index].write(_line([_text(row.get(name)) for name in columns]))
        self._files[index].flush()
        self._rows[index] += 1

    def rows(self) -> list[int]:
        """The number of rows in each file, once they are on the disk."""
        for file in self._files:
            os.fsync(file.fileno())
        return list(self._rows)

    def __enter__(self) -> MetricsWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()


def set_aside(directory: Path) -> Path | None:
    """Renames a folder of metrics with rows in it, so that a new run does not write over them.

    Returns:
      Its new name, or None where there are no rows.
    """
    if not any(file.read_bytes().count(b"\n") > 1 for file in directory.glob("*.csv")):
        return None
    return files.set_aside(directory)


def path(directory: Path, member: str) -> Path:
    """Where the metrics of a member lie."""
    return directory / f"{member}.csv"


def read(file: Path) -> list[dict[str, float | None]]:
    """The rows of one member, by the columns of the file.

    An empty cell becomes None, and so does a column of `RUN_COLUMNS` that the file does not have.
    A last row without its line break is still being written, and left out.

    Raises:
      ValueError: it is no table of metrics; names the file.
    """
    try:
        with file.open(newline="") as lines:
            reader = csv.DictReader(line for line in lines if line.endswith(("\n", "\r")))
            _check_columns(reader.fieldnames or ())
            nothing: dict[str, float | None] = dict.fromkeys(RUN_COLUMNS)
            return [
                nothing | {name: float(cell) if cell else None for name, cell in row.items()}
                for row in reader
            ]
    except (ValueError, TypeError, csv.Error) as error:
        raise ValueError(f"{file} is not a table of metrics: {error}.") from error


def _kept(file: Path, count: int) -> tuple[list[str], list[bytes]]:
    """The columns of a file and its first rows; none of either where it is to begin anew."""
    if not count or not file.exists():
        return [], []
    # A row that was being written when its process was killed ends without a line break.
    head, *rows = file.read_bytes().split(b"\n")[:-1] or [b""]
    if not head:
        return [], []
    try:
        columns = next(csv.reader([head.decode().rstrip("\r")]), [])
        _check_columns(columns)
    except (ValueError, csv.Error) as error:
        raise ValueError(
            f"{file} is not a table of metrics: {error}. Move it away, and the run goes on."
        ) from error
    return columns, [row.rstrip(b"\r") for row in rows[:count]]


def _opened(file: Path, there: list[str], columns: list[str], kept: list[bytes]) -> BinaryIO:
    """A file that holds these columns and rows, open at its end."""
    # Rows are as long as the head, so that readers that do not fill them up take them too.
    empty = b"," * (len(columns) - len(there))
    content = _line(columns) + b"".join(row + empty + b"\r\n" for row in kept)
    if not file.exists() or file.read_bytes() != content:
        files.write(file, content)
    return file.open("ab")


def _check_columns(columns: Sequence[str]) -> None:
    if "step" not in columns:
        raise ValueError("it has no column 'step'")
    if len(set(columns)) < len(columns):
        raise ValueError("two of its columns have one name")


def _line(cells: Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
