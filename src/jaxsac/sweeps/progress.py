"""How far the parts of a sweep are, read from the files that their workers write."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.status import Status
from rich.text import Text

from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.display.status import Entry, best_median_worst
from jaxsac.runs.metrics import metrics
from jaxsac.runs.settings import labels
from jaxsac.sweeps.plan import Group

TERMINAL_SECONDS, LINE_SECONDS = 2.0, 60.0
"""Between two looks: at a terminal, and where every look is a line."""


class SweepProgress:
    """Shows parts and steps done and the latest returns: a live line, or one a minute."""

    def __init__(self, parts: list[Group], directory: Path, console: Console) -> None:
        self._parts, self._directory, self._console = parts, directory, console
        self._status = Status("", console=console)
        self._interval = TERMINAL_SECONDS if console.is_terminal else LINE_SECONDS
        self._last, self._line = time.monotonic(), ""
        self._ends: dict[Path, End] = {}

    def __enter__(self) -> SweepProgress:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()
        line = describe(self._parts, self._directory, self._ends)
        if self._console.is_terminal or line != self._line:
            self._say(line)

    def message(self, text: str) -> None:
        """Prints a line above the live one."""
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def stopping(self, signal: str) -> None:
        """Says that a signal was heard."""
        self.message(
            f"{signal}: the workers are asked to save and to stop. {signal} again: they are not "
            "waited for."
        )

    def _say(self, line: str) -> None:
        """Prints as much as fits, with the time of day."""
        line = f"{time.strftime('%H:%M:%S')} {line}"
        self.message(labels.shorten(line, self._console.width))

    def show(self) -> None:
        """Looks and shows, if the last look was long enough ago."""
        if time.monotonic() - self._last < self._interval:
            return
        line = describe(self._parts, self._directory, self._ends)
        if self._console.is_terminal:
            self._status.update(Text(line, no_wrap=True, overflow="ellipsis"))
        elif line != self._line:
            self._say(line)
        self._line = line
        self._last = time.monotonic()


class End(NamedTuple):
    """Where the rows of a member end."""

    size: int
    """Of their file: only one that has grown is read again."""
    step: int
    value: float | None
    """The latest return."""


def describe(parts: list[Group], directory: Path, ends: dict[Path, End]) -> str:
    """Parts and steps done, and the latest return: of the best point, where there are several.

    Args:
      parts: of the sweep.
      directory: of the sweep.
      ends: what the look before found, by file; brought up to date.
    """
    steps = whole = done = 0
    points: dict[int, Entry] = {}
    for part in parts:
        config, run = part.config, RunDirectory(directory / part.name)
        column = "eval_return" if config.eval_every else "train_return"
        files = [metrics.path(run.metrics, name) for name in config.member_names]
        for file in files:
            ends[file] = _end(file, column, ends.get(file))
        members = [ends[file].step for file in files]
        steps, whole = steps + sum(members), whole + config.steps * config.population
        done += min(members) >= config.steps
        for index, file in enumerate(files):
            number, point = index // config.seeds, part.points[index // config.seeds]
            entry = Entry(labels.settings(point), [], [])
            entry = points.setdefault(part.first_point + number, entry)
            entry.evaluation.append(ends[file].value)
    best = best_median_worst(list(points.values()))[0]
    label = f" ({best.label})" if len(points) > 1 else ""
    latest = f"return {labels.spread(best.evaluation)}{label}"
    return f"{done} of {len(parts)} parts, {steps / whole:.0%} of all steps, {latest}"


def _end(file: Path, column: str, before: End | None) -> End:
    try:
        size = file.stat().st_size
        if before is not None and before.size == size:
            return before
        rows = metrics.read(file)
    except (OSError, ValueError):  # not begun, or not yet whole where another machine writes it
        return before or End(-1, 0, None)
    step = int(rows[-1]["step"] or 0) if rows else 0
    value = next((row[column] for row in reversed(rows) if row[column] is not None), None)
    return End(size, step, value)
