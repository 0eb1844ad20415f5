"""What a run is doing at a moment, and how long it has been doing what."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Literal

Phase = Literal[
    "making environments", "restoring", "compiling", "learning offline", "warm-up", "training",
    "evaluating", "saving", "recording", "complete", "stopped",
]  # fmt: skip

STEPPING: tuple[Phase, ...] = ("warm-up", "training")
WALL_TIME: tuple[Phase, ...] = ("learning offline", *STEPPING, "evaluating", "saving")
"""The phases whose seconds are the `wall_time` of the metrics; to make, to compile and to
record videos is apart."""

STOP_AFTER: dict[Phase, str] = {
    "compiling": "the compiler is done",
    "learning offline": "these updates",
    "evaluating": "this evaluation",
    "saving": "this checkpoint",
    "recording": "this video",
}
"""What comes to its end before a run stops; "this step" in other phases."""


class PhaseClock:
    """The seconds spent in each phase, the one that lasts included."""

    def __init__(self, phase: Phase, now: Callable[[], float] = time.monotonic) -> None:
        self.phase: Phase = phase
        self._now, self._since = now, now()
        self._spent: dict[Phase, float] = defaultdict(float)
        self._times: Counter[Phase] = Counter([phase])

    def enter(self, phase: Phase) -> None:
        """Begins a phase, and ends the one before."""
        now = self._now()
        self._spent[self.phase] += now - self._since
        self.phase, self._since = phase, now
        self._times[phase] += 1

    def seconds(self, *phases: Phase) -> float:
        """Spent in these phases together."""
        lasting = self.lasting if self.phase in phases else 0.0
        return sum(self._spent[phase] for phase in phases) + lasting

    def mean(self, phase: Phase) -> float:
        """Seconds that the phase has taken each time."""
        return self.seconds(phase) / max(self._times[phase], 1)

    @property
    def lasting(self) -> float:
        """Seconds since the present phase began."""
        return self._now() - self._since


def stopping(phase: Phase, signal: str) -> str:
    """That a run has heard a signal in a phase, and when it stops."""
    insisting = "Ctrl-C again" if signal == "Ctrl-C" else "Ctrl-C"  # after any signal
    return (
        f"{signal}: stops after {STOP_AFTER.get(phase, 'this step')}, with everything saved. "
        f"{insisting}: ends at once, without saving."
    )
