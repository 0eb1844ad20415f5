"""A run as it is drawn on a terminal or in a notebook, in lines that fit."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jaxsac.runs.display.phases import STEPPING
from jaxsac.runs.display.status import Returns, Status
from jaxsac.runs.settings.labels import shorten, spread

OTHER_LINES = 9
"""Of a terminal: all lines but those of the members, and one to spare."""
MARGIN = 4
"""Columns for what a terminal shows of Ctrl-C, pressed twice; it must not begin another line."""
WIDEST = 100
"""Columns; farther apart, labels and numbers are no longer read together."""


class Screen:
    """Phase, bar, steps, speed, time and a table of the latest returns; drawn anew each time."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        status = self._status
        options = options.update(width=min(options.max_width - MARGIN, WIDEST))
        parts: list[Table | Text] = [self._title(), self._bar(), self._facts()]
        if status.latest is not None:
            parts.append(self.table(options.max_width, options.max_height))
        if status.faults:
            parts.append(Text(status.faults, "red", no_wrap=True, overflow="ellipsis"))
        yield from console.render(Group(*parts), options)

    def _title(self) -> Table:
        status, clock = self._status, self._status.clock
        grid = Table.grid(expand=True, padding=(0, 1))
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        grid.add_column(justify="right", no_wrap=True)
        is_short = clock.phase in (*STEPPING, "complete", "stopped")
        lasting = "" if is_short else f" {clock.lasting:.0f} s"
        grid.add_row(Text(status.config.env, style="bold"), Text(clock.phase + lasting))
        return grid

    def _bar(self) -> Table:
        step, steps = self._status.step, self._status.config.steps
        grid = Table.grid(expand=True, padding=(0, 1))
        grid.add_column(ratio=1)
        grid.add_column(no_wrap=True)
        grid.add_row(ProgressBar(total=steps, completed=step), f"{step / steps:4.0%}")
        return grid

    def _facts(self) -> Table:
        status = self._status
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True, style="dim")
        grid.add_column(no_wrap=True, overflow="ellipsis")
        each = f" per {status.member}" if status.config.population > 1 else ""
        grid.add_row("steps", f"{status.step:,} of {status.config.steps:,}{each}")
        grid.add_row("speed", status.describe_speed())
        grid.add_row("time", status.describe_time())
        return grid

    def table(self, width: int, height: int) -> Table:
        """The latest returns, in a table for so many columns and lines of a terminal."""
        status = self._status
        entries = status.entries(max(height - OTHER_LINES, 3))
        columns = [_column("training", [entry.train for entry in entries])]
        if status.config.eval_every:
            columns.append(_column("evaluation", [entry.evaluation for entry in entries]))
        # Where there is too little room for all, labels are cut, and numbers are not.
        room = width - sum(len(heading) + 2 for heading, *_ in columns)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("return in", no_wrap=True)
        for heading, *_ in columns:
            table.add_column(heading, no_wrap=True)
        for entry, *cells in zip(entries, *(cells for _, *cells in columns), strict=True):
            table.add_row(shorten(entry.label, room), *cells)
        return table


def _column(heading: str, returns: list[Returns]) -> list[str]:
    """A heading and its cells, all equally long, with one number below the other."""
    parts = [spread(each).partition(" ± ") for each in returns]
    longest = max(len(deviation) for _, _, deviation in parts)
    cells = [
        f"{mean}{sign}{deviation:>{longest}}" + " " * (0 if sign or not longest else len(" ± "))
        for mean, sign, deviation in parts
    ]
    width = max(map(len, (heading, *cells)))
    return [text.rjust(width) for text in (heading, *cells)]
