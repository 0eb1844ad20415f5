"""What is known of a run at a moment: how far it is, how fast, and what its members earn."""

from __future__ import annotations

import math
import statistics
from collections import deque
from typing import NamedTuple

from jaxsac.runs.display.observer import Progress
from jaxsac.runs.display.phases import STEPPING, WALL_TIME, Phase, PhaseClock
from jaxsac.runs.settings.config import RunConfig
from jaxsac.runs.settings.labels import duration, settings

WINDOW = 60.0
"""Seconds of stepping over which the speed is measured."""
SHORTEST = 0.5
"""Seconds of stepping that say something about it."""

Returns = list[float | None]


class Entry(NamedTuple):
    """A line of the table of returns: one seed, one point of a sweep, or all seeds together."""

    label: str
    train: Returns
    """Of its members: mean of the latest training episodes (sampled policy)."""
    evaluation: Returns
    """Of its members: mean of the latest evaluation (deterministic policy)."""


class Status:
    """A run as those who watch it know it: what `Observer` is told, and what follows."""

    def __init__(self, config: RunConfig, clock: PhaseClock | None = None) -> None:
        self.config = config
        self.clock = clock or PhaseClock("making environments")
        self.step = 0
        self.latest: Progress | None = None
        self._seconds_before = 0.0
        self._speeds: deque[tuple[float, int]] = deque()

    @property
    def is_sweep(self) -> bool:
        """Whether members differ in settings."""
        return len(self.config.points) > 1

    @property
    def member(self) -> str:
        """What a member is called."""
        return "member" if self.is_sweep else "seed"

    def enter(self, phase: Phase) -> None:
        """Another phase; the speed of the warm-up says nothing of learning, which begins after."""
        if phase == "training" and self.clock.phase == "warm-up":
            self._speeds.clear()
        self.clock.enter(phase)
        self.stepped(self.step)

    def started(self, step: int, seconds: float) -> None:
        """Where training starts, with so many seconds of it done."""
        self.step, self._seconds_before = step, seconds

    def stepped(self, step: int) -> None:
        """Transitions per seed so far."""
        self.step = step
        if self.clock.phase not in STEPPING:
            return
        now = self.clock.seconds(*STEPPING)
        self._speeds.append((now, step))
        while self._speeds[0][0] < now - WINDOW:
            self._speeds.popleft()

    @property
    def seconds(self) -> float:
        """Of training, evaluating and saving so far, as `wall_time` in the metrics."""
        return self._seconds_before + self.clock.seconds(*WALL_TIME)

    @property
    def speed(self) -> float | None:
        """Transitions per second of one seed while it steps, evaluations and checkpoints apart."""
        if len(self._speeds) < 2:
            return None
        (start, first), (end, last) = self._speeds[0], self._speeds[-1]
        return (last - first) / (end - start) if end - start > SHORTEST else None

    def describe_speed(self) -> str:
        """The speed of one member, and that of all of them."""
        if self.speed is None:
            return "-"
        own, population = f"{self.speed:,.0f} steps/s", self.config.population
        if population == 1:
            return own
        return f"{own} per {self.member}, {self.speed * population:,.0f} in all"

    @property
    def left(self) -> float | None:
        """Seconds until the last step, evaluations and checkpoints included.

        None where it is not known yet: in the warm-up, which is faster than what comes after it.
        """
        config, clock = self.config, self.clock
        if self._is_warm_up or not self.speed:
            return None
        each = 1 / self.speed
        each += clock.mean("evaluating") / config.eval_every if config.eval_every else 0
        each += clock.mean("saving") / config.checkpoint_every if config.checkpoint_every else 0
        return (config.steps - self.step) * each

    @property
    def _is_warm_up(self) -> bool:
        """Whether what is to come is another thing than what was."""
        return self.step < self.config.learning_starts < self.config.steps

    def describe_time(self) -> str:
        """Seconds of training so far and until the end, and those of the compiler beside them."""
        left = "left known after the warm-up" if self._is_warm_up else "- left"
        left = left if self.left is None else f"{duration(self.left)} left"
        compiling = self.clock.seconds("compiling")
        parts = [f"{duration(self.seconds)} so far"]
        parts += [left] if self.clock.phase not in ("complete", "stopped") else []
        parts += [f"{duration(compiling)} to compile"] if compiling else []
        return ", ".join(parts)

    @property
    def faults(self) -> str:
        """What was not finite and has been left out; empty where everything was."""
        skipped, discarded = (self.latest.skipped, self.latest.discarded) if self.latest else (0, 0)
        parts = [f"{skipped:,} updates skipped"] if skipped else []
        parts += [f"{discarded:,} steps discarded"] if discarded else []
        return f"not finite: {', '.join(parts)}" if parts else ""

    def entries(self, most: int) -> list[Entry]:
        """The table of returns.

        Args:
          most: lines at the most, the mean apart; of more seeds or points the best, the median and
            the worst are there.

        Returns:
          A line for each seed, and one for all together; in a sweep a line for each point.
        """
        found = self._of_points() if self.is_sweep else self._of_seeds()
        shown = found if len(found) <= most else best_median_worst(found)
        return shown if self.is_sweep or len(found) == 1 else [*shown, self.mean]

    @property
    def mean(self) -> Entry:
        """All members together."""
        return Entry(f"mean of {self.config.population}", *self._returns())

    @property
    def best(self) -> Entry:
        """The best point of a sweep."""
        return best_median_worst(self._of_points())[0]

    def _of_seeds(self) -> list[Entry]:
        each = zip(self.config.member_seeds, *self._returns(), strict=True)
        return [Entry(f"seed {seed}", [train], [evaluation]) for seed, train, evaluation in each]

    def _of_points(self) -> list[Entry]:
        train, evaluation = self._returns()
        count = self.config.seeds
        return [
            Entry(settings(point), train[start : start + count], evaluation[start:][:count])
            for start, point in zip(range(0, len(train), count), self.config.points, strict=True)
        ]

    def _returns(self) -> tuple[Returns, Returns]:
        if self.latest is None:
            nothing: Returns = [None] * self.config.population
            return nothing, nothing
        return self.latest.train_returns, self.latest.eval_returns


def best_median_worst(entries: list[Entry]) -> list[Entry]:
    """Three of the entries by the means of their evaluations, or of training before there are any.

    One without a mean, or with one that is not a number, is worse than the others.
    """
    evaluated = any(_known(entry.evaluation) for entry in entries)

    def rank(entry: Entry) -> float:
        known = _known(entry.evaluation if evaluated else entry.train)
        mean = statistics.fmean(known) if known else math.nan
        return -math.inf if math.isnan(mean) else mean

    ranked = sorted(entries, key=rank, reverse=True)
    three = {"best": ranked[0], "median": ranked[(len(ranked) - 1) // 2], "worst": ranked[-1]}
    return [entry._replace(label=f"{name}: {entry.label}") for name, entry in three.items()]


def _known(returns: Returns) -> list[float]:
    return [value for value in returns if value is not None]
