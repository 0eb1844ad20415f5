"""What a person sees of a run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import statistics
import time
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from jaxsac.runs.config import RunConfig
from jaxsac.runs.observer import Progress as RunProgress

MAX_ROWS = 16
SUMMARY = ("best", "median", "worst")


class Display:
    """Shows steps done, steps per second, time left and the latest returns of each member.

    Of a population larger than `MAX_ROWS` it shows the best, the median and the worst.
    """

    def __init__(self, config: RunConfig, console: Console | None = None) -> None:
        self._config = config
        self._console = console or Console()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            _Rate(config.population),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            speed_estimate_period=60,
        )
        self._task = self._bar.add_task(config.env, total=config.steps)
        self._live = Live(self._bar, console=self._console, refresh_per_second=4)
        self._last_line = (0.0, 0)

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def message(self, text: str) -> None:
        """Prints a line above the display."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def started(self, step: int, seconds: float) -> None:
        """Starts the bar at `step`, so that what was done before does not count as speed."""
        self._bar.reset(self._task, completed=step)
        self._last_line = (seconds, step)

    def stepped(self, step: int) -> None:
        """Moves the bar."""
        self._bar.update(self._task, completed=step)

    def progress(self, progress: RunProgress) -> None:
        """Moves the bar and shows the latest returns."""
        self.stepped(progress.step)
        if self._console.is_terminal:
            self._live.update(Group(self._bar, self._returns(progress)))
        elif progress.evaluated or not self._config.eval_every:
            self.message(self._line(progress))

    def _returns(self, progress: RunProgress) -> Table:
        table = Table(box=None, pad_edge=False)
        heading = f"of {self._config.population}" if self._is_large else "seed"
        table.add_column(heading, justify="right")
        table.add_column("training return (sampled)", justify="right")
        table.add_column("evaluation return (deterministic)", justify="right")
        columns = [progress.train_returns, progress.eval_returns]
        if self._is_large:
            labels, columns = SUMMARY, [_summary(values) for values in columns]
        else:
            labels = self._config.member_labels
        for label, sampled, deterministic in zip(labels, *columns, strict=True):
            table.add_row(label, _number(sampled), _number(deterministic))
        if progress.skipped or progress.discarded:
            table.caption = _faults(progress)
        return table

    @property
    def _is_large(self) -> bool:
        return self._config.population > MAX_ROWS

    def _line(self, progress: RunProgress) -> str:
        seconds, step = self._last_line
        population = self._config.population
        rate = population * (progress.step - step) / max(progress.seconds - seconds, 1e-9)
        left = (self._config.steps - progress.step) * population / max(rate, 1e-9)
        self._last_line = progress.seconds, progress.step
        returns = progress.eval_returns if self._config.eval_every else progress.train_returns
        line = (
            f"{time.strftime('%H:%M:%S')} step {progress.step:,}/{self._config.steps:,}"
            f"  {rate:,.0f} steps/s  left {_duration(left)}"
            f"  return {self._describe(returns)}"
        )
        return f"{line}  {_faults(progress)}".rstrip()

    def _describe(self, returns: list[float | None]) -> str:
        if self._is_large:
            return summary_line(returns)
        return f"by seed {' '.join(_number(value) for value in returns)}"


def summary_line(values: list[float | None]) -> str:
    """Best, median and worst in words."""
    named = zip(SUMMARY, _summary(values), strict=True)
    return ", ".join(f"{label} {_number(value)}" for label, value in named)


class _Rate(ProgressColumn):
    """Environment steps per second of all members together."""

    def __init__(self, population: int) -> None:
        super().__init__()
        self._population = population

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed * self._population:,.0f} steps/s" if speed else "- steps/s")


def _summary(values: list[float | None]) -> list[float | None]:
    """Best, median and worst of the values that there are."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    return [max(known), statistics.median(known), min(known)] if known else [None] * len(SUMMARY)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _faults(progress: RunProgress) -> str:
    parts = []
    if progress.skipped:
        parts.append(f"{progress.skipped} updates skipped (not finite)")
    if progress.discarded:
        parts.append(f"{progress.discarded} steps discarded (not finite)")
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
