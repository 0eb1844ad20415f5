"""What a run tells whoever watches it."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Progress(NamedTuple):
    """How far a run is, at a row of the metrics."""

    step: int
    """Transitions per seed."""
    seconds: float
    """Since the first environment step."""
    evaluated: bool
    """Whether `eval_returns` is of this step."""
    train_returns: list[float | None]
    """By seed: mean of the latest training episodes (sampled policy)."""
    eval_returns: list[float | None]
    """By seed: mean of the latest evaluation (deterministic policy)."""
    skipped: int
    """Updates left out, all seeds."""
    discarded: int
    """Environment steps left out, all seeds."""


class Observer(Protocol):
    """What a display of a run has to offer."""

    def message(self, text: str) -> None:
        """Says something once."""

    def started(self, step: int, seconds: float) -> None:
        """Is told where training starts: at 0, or where it resumes."""

    def stepped(self, step: int) -> None:
        """Is told the transitions per seed so far, a few times a second."""

    def progress(self, progress: Progress) -> None:
        """Is told of every row of the metrics."""
