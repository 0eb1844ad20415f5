"""The sinks of a run: each has every row of every member once, also of a run that was resumed."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jaxsac.runs import files, metrics
from jaxsac.runs.config import RunConfig
from jaxsac.runs.directory import RunDirectory
from jaxsac.runs.metrics import RUN_COLUMNS
from jaxsac.runs.sinks import sink
from jaxsac.runs.sinks.sink import SinkName, Target

LONGEST = 2**20
"""Bytes of a file of places."""


class Sinks:
    """Passes rows on; what goes wrong with a sink is said once, and the run goes on without it."""

    def __init__(self, config: RunConfig, run: RunDirectory, tell: Callable[[str], None]) -> None:
        """Of a run; they are opened by `with`.

        Args:
          config: the run.
          run: its directory.
          tell: says a sentence to whoever watches.
        """
        self._config, self._run, self._tell = config, run, tell
        self._streams: dict[SinkName, _Streams] = {}

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Passes on the new row of each member."""
        for name, streams in list(self._streams.items()):
            with self._survived(name):
                streams.write(dict(enumerate(rows)))

    def __enter__(self) -> Sinks:
        """Opens them where the metrics end, and sends them the rows that they do not have yet."""
        there = _rows_there(self._config, self._run) if self._config.log else []
        for name in self._config.log:
            with self._survived(name):
                streams = _Streams(name, self._config, self._run, there)
                self._streams[name] = streams
                self._tell(streams.where)
                for rows in itertools.zip_longest(*there):
                    streams.write(dict(enumerate(rows)))
        return self

    def __exit__(self, *_: object) -> None:
        for name, streams in list(self._streams.items()):
            with self._survived(name):
                streams.close()

    @contextlib.contextmanager
    def _survived(self, name: SinkName) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._streams.pop(name, None)
            self._tell(
                f"{name} takes no more rows: {error!r}. The run goes on, with all of them in "
                f"{self._run.metrics}; when it is resumed, {name} is sent what it misses."
            )


class _Streams:
    """One sink, and how far its streams are: a row that is trained again is not sent again."""

    def __init__(
        self, name: SinkName, config: RunConfig, run: RunDirectory, there: list[list[Any]]
    ) -> None:
        kind = sink.kind(name)
        self._config = config
        self._file = run.path / "sinks" / f"{name}.json"
        self._places = _read_places(self._file, config.member_names)
        if kind.TAKES_BACK:
            ends = [_place(config, rows[-1]) if rows else -1 for rows in there]
            self._places = [min(each) for each in zip(self._places, ends, strict=True)]
        settings = [config.to_json() | own for own in config.members]
        target = Target(run.path, group(run), config.member_names, settings, list(self._places))
        self._sink = kind.Streams(target)
        self.where: str = self._sink.where

    def write(self, rows: dict[int, dict[str, Any] | None]) -> None:
        """Sends those that are new, and notes that they are sent."""
        new: dict[int, dict[int, dict[str, float]]] = {}
        for index, row in rows.items():
            if row is not None and (place := _place(self._config, row)) > self._places[index]:
                new.setdefault(place, {})[index] = self._named(row)
        for place, members in sorted(new.items()):
            self._sink.write(place, members)
            for index in members:
                self._places[index] = place
        if new:
            self._note()

    def _named(self, row: dict[str, Any]) -> dict[str, float]:
        """The values of a row; trackers draw those beside each other that begin alike."""
        left_out = {"step", *self._config.members[0]}
        return {
            f"{'run' if name in RUN_COLUMNS else 'update'}/{name}": float(value)
            for name, value in row.items()
            if value is not None and name not in left_out
        }

    def _note(self) -> None:
        # Not on the disk when this returns, as rows are not either: both outlive the process.
        content = dict(zip(self._config.member_names, self._places, strict=True))
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(json.dumps(content))
        os.replace(temporary, self._file)

    def close(self) -> None:
        """Waits until the rows are where they belong."""
        self._sink.close()


def _place(config: RunConfig, row: dict[str, Any]) -> int:
    """On the axis of the trackers: transitions per seed, after the updates on prior data alone."""
    step = int(row["step"])
    return step + config.offline_steps if step else int(row["updates"])


def _rows_there(config: RunConfig, run: RunDirectory) -> list[list[Any]]:
    """By member: the rows that the run has so far."""
    paths = [metrics.path(run.metrics, name) for name in config.member_names]
    return [metrics.read(path) for path in paths]


def _read_places(file: Path, members: list[str]) -> list[int]:
    """By member: of the last row that was sent.

    Raises:
      OSError, ValueError: the file cannot be read.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    found = json.loads(files.read_text(file, LONGEST)) if file.exists() else {}
    return [int(found.get(member, -1)) for member in members]


def group(run: RunDirectory) -> str:
    """The name of a run, and letters that tell it from others of that name; they stay with it."""
    file = run.root / "sinks" / "id"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            files.write(file, secrets.token_hex(3).encode(), new=True)
    return f"{run.root.resolve().name}-{files.read_text(file, LONGEST)}"
