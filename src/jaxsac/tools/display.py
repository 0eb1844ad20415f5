"""What a person sees of a run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

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

from jaxsac.runner.config import RunConfig
from jaxsac.runner.observer import Progress as RunProgress

MAX_ROWS = 16


class Display:
    """Shows steps done, steps per second, time left and the latest returns of each seed."""

    def __init__(self, config: RunConfig, console: Console | None = None) -> None:
        self._config = config
        self._console = console or Console()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            _Rate(config.seeds),
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
        self._console.print(text, highlight=False, soft_wrap=True)

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
        table.add_column("seed", justify="right")
        table.add_column("training return (sampled)", justify="right")
        table.add_column("evaluation return (deterministic)", justify="right")
        rows = zip(self._config.members, progress.train_returns, progress.eval_returns, strict=True)
        for member, sampled, deterministic in list(rows)[:MAX_ROWS]:
            table.add_row(str(member), _number(sampled), _number(deterministic))
        hidden = self._config.seeds - MAX_ROWS
        if hidden > 0:
            table.caption = f"and {hidden} more seeds"
        if progress.skipped or progress.discarded:
            table.caption = f"{table.caption or ''} {_faults(progress)}".strip()
        return table

    def _line(self, progress: RunProgress) -> str:
        seconds, step = self._last_line
        rate = self._config.seeds * (progress.step - step) / max(progress.seconds - seconds, 1e-9)
        left = (self._config.steps - progress.step) * self._config.seeds / max(rate, 1e-9)
        self._last_line = progress.seconds, progress.step
        returns = progress.eval_returns if self._config.eval_every else progress.train_returns
        line = (
            f"{time.strftime('%H:%M:%S')} step {progress.step:,}/{self._config.steps:,}"
            f"  {rate:,.0f} steps/s  left {_duration(left)}"
            f"  return by seed {' '.join(_number(value) for value in returns)}"
        )
        return f"{line}  {_faults(progress)}".rstrip()


class _Rate(ProgressColumn):
    """Environment steps per second of all seeds together."""

    def __init__(self, seeds: int) -> None:
        super().__init__()
        self._seeds = seeds

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed * self._seeds:,.0f} steps/s" if speed else "- steps/s")


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
