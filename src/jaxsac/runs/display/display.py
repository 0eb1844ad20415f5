"""What a person sees of a run: live on a terminal or in a notebook, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TextIO, cast

from rich.console import Console
from rich.live import Live

from jaxsac.runs.display.notebook import Cell
from jaxsac.runs.display.observer import Progress
from jaxsac.runs.display.output import Output
from jaxsac.runs.display.phases import Phase
from jaxsac.runs.display.screen import Screen
from jaxsac.runs.display.status import Status
from jaxsac.runs.settings.config import RunConfig
from jaxsac.runs.settings.labels import duration, shorten, spread

IN_WORDS: dict[Phase, str] = {"warm-up": "warm-up: random actions"}
PASSING: tuple[Phase, ...] = ("evaluating", "saving", "recording")
"""Phases that are no line of their own."""


class Display:
    """An `Observer` that shows phase, steps, speed, time left and the latest returns.

    On a terminal and in a notebook that is a `Screen` in one place; elsewhere, in a file for
    instance, a line for each evaluation.
    """

    def __init__(self, config: RunConfig, console: Console | None = None) -> None:
        self._config = config
        self._console = console or Console(file=cast(TextIO, Output()))
        self._status = Status(config)
        self._phase, self._faults = "", ""
        self._screen = Screen(self._status)
        self._live = self._make_live()

    def _make_live(self) -> Live | Cell | None:
        if self._console.is_jupyter:
            return Cell(self._screen)
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            # Of a run that is refused nothing stays but the reason.
            return Live(self._screen, console=self._console, refresh_per_second=2, transient=True)
        return None

    def __enter__(self) -> Display:
        if self._live is not None:
            self._live.start()
            # Hidden, it would stay so where the process is killed.
            self._console.show_cursor(True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def message(self, text: str) -> None:
        """Prints something above the display; in a file it is one line."""
        wrapped = self._console.is_terminal
        self._console.print(text, markup=False, highlight=False, soft_wrap=not wrapped)

    def phase(self, phase: Phase) -> None:
        """Shows what the run does from now on."""
        self._status.enter(phase)
        if self._live is not None:
            self._live.refresh()
        elif phase not in PASSING and phase != self._phase:
            self._announce(phase)

    def _announce(self, phase: Phase) -> None:
        before, self._phase = self._phase, phase
        if phase in ("complete", "stopped"):
            self._line(phase, self._end())
            if self._status.latest is not None:
                self._console.print(self._screen.table(self._console.width, self._console.height))
            return
        compiling = self._status.clock.seconds("compiling")
        took = f"(compiling took {compiling:.0f} s)" if before == "compiling" else ""
        random = self._config.schedule.explores
        self._line(IN_WORDS.get(phase, phase) if random else phase, took)

    def started(self, step: int, seconds: float) -> None:
        """Is told where training starts, so that what was done before does not count as speed."""
        self._status.started(step, seconds)
        if isinstance(self._live, Live):
            self._live.transient = False

    def stepped(self, step: int) -> None:
        """Moves the bar."""
        self._status.stepped(step)

    def progress(self, progress: Progress) -> None:
        """Shows the latest returns."""
        self._status.latest = progress
        self.stepped(progress.step)
        steps = progress.step > 0 and not self._config.eval_every
        if self._live is None and (progress.evaluated or steps):
            self._row()

    def _row(self) -> None:
        status = self._status
        entry = status.best if status.is_sweep else status.mean
        returns = spread(entry.evaluation if self._config.eval_every else entry.train)
        parts = [f"step {status.step:,}", f"return {returns}"]
        if status.is_sweep:
            room = self._console.width - len(" ".join(["00:00:00", *parts, "()"]))
            parts.append(f"({shorten(entry.label, room)})")
        parts += [f"left {duration(status.left)}"] if status.left is not None else []
        parts += [part for part in status.describe_speed().split(", ") if part != "-"]
        self._line(*parts)
        if status.faults != self._faults:
            self._faults = status.faults
            self._line(status.faults)

    def _end(self) -> str:
        status = self._status
        return (
            f"at step {status.step:,} of {status.config.steps:,}, after {duration(status.seconds)}"
        )

    def _line(self, *parts: str) -> None:
        """A line with the time of day, and with as many of the parts as fit, the first ones."""
        line = time.strftime("%H:%M:%S")
        for part in filter(None, parts):
            if len(line) + 1 + len(part) > self._console.width:
                break
            line += f" {part}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
