"""The sinks of a run: each has every row of every member, also of a run that was resumed.

A sink may hold rows back for a while, in a thread of this process for one. So a row counts as sent
only when it was handed over a minute ago, or when the sink has been closed: what a process takes
with it that is killed is sent again. A sink that can take rows back has each of them once all the
same; one that cannot may have those of that minute twice, with the same values.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jaxsac.runs import files
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.metrics import metrics
from jaxsac.runs.metrics.metrics import RUN_COLUMNS
from jaxsac.runs.settings.config import RunConfig
from jaxsac.runs.sinks import sink
from jaxsac.runs.sinks.sink import SinkName, Target

LONGEST = 2**20
"""Bytes of a file of places."""
HELD = 60.0
"""Seconds; of a process that was killed wandb and trackio had lost what came in the last few."""
LETTERS = 6
"""Of those behind the name of a group."""


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
                    streams.send(dict(enumerate(rows)))
        return self

    def __exit__(self, *_: object) -> None:
        for name, streams in list(self._streams.items()):
            with self._survived(name):
                streams.close()

    @contextlib.contextmanager
    def _survived(self, name: SinkName) -> Iterator[None]:
        try:
            yield
        except LostPlacesError as error:
            self._tell(f"{error} The run goes on, with all rows in {self._run.metrics}.")
        except Exception as error:
            self._streams.pop(name, None)
            self._tell(
                f"{name} takes no more rows: {error!r}. The run goes on, with all of them in "
                f"{self._run.metrics}; when it is resumed, {name} is sent what it misses."
            )


class LostPlacesError(Exception):
    """It is not known how far the streams of a sink are; says what to do."""


class _Streams:
    """One sink, and how far its streams are: a row that is trained again is not sent again."""

    def __init__(
        self, name: SinkName, config: RunConfig, run: RunDirectory, there: list[list[Any]]
    ) -> None:
        kind = sink.kind(name)
        self._config = config
        self._file = run.path / "sinks" / f"{name}.json"
        self._places = _read_places(self._file, config.member_names, name, kind.TAKES_BACK)
        self._handed_over: collections.deque[tuple[float, list[int]]] = collections.deque()
        if kind.TAKES_BACK:
            ends = [_place(config, rows[-1]) if rows else -1 for rows in there]
            self._places = [min(each) for each in zip(self._places, ends, strict=True)]
        settings = [config.to_json() | own for own in config.members]
        target = Target(run.path, group(run), config.member_names, settings, list(self._places))
        self._sink = kind.Streams(target)
        self.where: str = self._sink.where

    def write(self, rows: dict[int, dict[str, Any] | None]) -> None:
        """Sends those that are new, and notes those of before that have had their time."""
        arrived = None
        while self._handed_over and time.monotonic() - self._handed_over[0][0] >= HELD:
            _, arrived = self._handed_over.popleft()
        if arrived is not None:
            self._note(arrived)
        self.send(rows)

    def send(self, rows: dict[int, dict[str, Any] | None]) -> None:
        """Sends those that are new."""
        new: dict[int, dict[int, dict[str, float]]] = {}
        for index, row in rows.items():
            if row is not None and (place := _place(self._config, row)) > self._places[index]:
                new.setdefault(place, {})[index] = self._named(row)
        for place, members in sorted(new.items()):
            self._sink.write(place, members)
            for index in members:
                self._places[index] = place
        if new:
            self._handed_over.append((time.monotonic(), list(self._places)))

    def _named(self, row: dict[str, Any]) -> dict[str, float]:
        """The values of a row; trackers draw those beside each other that begin alike."""
        left_out = {"step", *self._config.members[0]}
        return {
            f"{'run' if name in RUN_COLUMNS else 'update'}/{name}": float(value)
            for name, value in row.items()
            if value is not None and name not in left_out
        }

    def _note(self, places: list[int]) -> None:
        # Not on the disk when this returns, as rows are not either: both outlive the process.
        content = dict(zip(self._config.member_names, places, strict=True))
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(json.dumps(content))
        os.replace(temporary, self._file)

    def close(self) -> None:
        """Waits until the rows are where they belong, and notes it."""
        self._sink.close()
        self._note(self._places)


def _place(config: RunConfig, row: dict[str, Any]) -> int:
    """On the axis of the trackers: transitions per seed, after the updates on prior data alone."""
    step = int(row["step"])
    return step + config.offline_steps if step else int(row["updates"])


def _rows_there(config: RunConfig, run: RunDirectory) -> list[list[Any]]:
    """By member: the rows that the run has so far."""
    paths = [metrics.path(run.metrics, name) for name in config.member_names]
    return [metrics.read(path) for path in paths]


def _read_places(file: Path, members: list[str], name: str, takes_back: bool) -> list[int]:
    """By member: of the last row that was sent.

    Raises:
      LostPlacesError: the file cannot be read, and the sink would have rows twice without it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        found = json.loads(files.read_text(file, LONGEST)) if file.exists() else {}
        return [int(found.get(member, -1)) for member in members]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        if takes_back:  # what it has is taken back, and sent anew
            return [-1] * len(members)
        raise LostPlacesError(
            f"{name} takes no rows: {file}, which says how many it has, cannot be read ({error}). "
            f"Remove it, and the run sends {name} all of its rows when it is resumed, also those "
            "that are there already."
        ) from error


def group(run: RunDirectory) -> str:
    """The name that a run began with, and letters that tell it from others of that name.

    They stay with the run, also where its directory gets another name.
    """
    file = run.root / "sinks" / "id"
    name = run.root.resolve().name
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            files.write(file, _group(name, secrets.token_hex(LETTERS // 2)), new=True)
    return files.read_text(file, LONGEST)


def _group(name: str, letters: str) -> bytes:
    return f"{name}-{letters}".encode(errors="replace")
