"""What a run tells whoever watches it."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from jaxsac.runs.display.phases import Phase


class Progress(NamedTuple):
    """How far a run is, at a row of the metrics."""

    step: int
    """Transitions per seed."""
    evaluated: bool
    """Whether `eval_returns` is of this step."""
    train_returns: list[float | None]
    """By member: mean of the latest training episodes (sampled policy)."""
    eval_returns: list[float | None]
    """By member: mean of the latest evaluation (deterministic policy)."""
    skipped: int
    """Updates left out, all members."""
    discarded: int
    """Environment steps left out, all members."""
    rows: list[dict[str, Any]]
    """The new row of each member, as in its file of metrics, with its seed (and its point)."""


class Observer(Protocol):
    """What a display of a run has to offer."""

    def message(self, text: str) -> None:
        """Says something once; also called from another thread, when a signal is heard."""

    def phase(self, phase: Phase) -> None:
        """Is told what the run does from now on."""

    def started(self, step: int, seconds: float) -> None:
        """Is told where training starts: at 0, or where it resumes, `seconds` of it done."""

    def stepped(self, step: int) -> None:
        """Is told the transitions per seed so far, a few times a second."""

    def progress(self, progress: Progress) -> bool | None:
        """Is told of every row of the metrics.

        Returns:
          True to stop the run as Ctrl-C does, with everything saved.
        """
