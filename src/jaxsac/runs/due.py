"""What a run has to do after which of its steps."""

from __future__ import annotations

import sys
from typing import NamedTuple

from jaxsac.runs.settings.config import RunConfig

NEVER = sys.maxsize
MOST_OFFLINE = 100
"""Offline updates between two looks at whether to stop."""


class Due(NamedTuple):
    """The step, in transitions per seed, at which each is to be done next; perhaps `NEVER`."""

    log: int
    evaluate: int
    save: int
    """A checkpoint."""
    record: int
    """A video."""
    learn: int
    """The warm-up is over."""


class DueOffline(NamedTuple):
    """How many offline updates there are until each is to be done; perhaps `NEVER`."""

    log: int
    save: int
    look: int
    """Whether there is a request to stop."""


def due_after(step: int, config: RunConfig) -> Due:
    """What comes after `step`: at the next multiple of its interval, or at the end of the run.

    A step of several environments may go past a multiple; what was due there is then done after it.
    """

    def next_multiple(every: int) -> int:
        return min(step - step % every + every, config.steps) if every else NEVER

    return Due(
        log=next_multiple(config.log_every),
        evaluate=next_multiple(config.eval_every),
        save=next_multiple(config.checkpoint_every),
        record=next_multiple(config.record_every),
        learn=config.learning_starts if step < config.learning_starts else NEVER,
    )


def due_offline(done: int, config: RunConfig) -> DueOffline:
    """What comes after so many updates on prior data alone.

    Rows of the metrics and checkpoints have the intervals that they have in transitions.
    """

    def until(every: int) -> int:
        return every - done % every if every else NEVER

    left = config.offline_steps - done
    save = until(config.checkpoint_every)
    return DueOffline(min(until(config.log_every), left), save, min(MOST_OFFLINE, left))
