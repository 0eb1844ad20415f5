"""What a run has to do after which of its steps."""

from __future__ import annotations

import sys
from typing import NamedTuple

from jaxsac.runs.config import RunConfig

NEVER = sys.maxsize


class Due(NamedTuple):
    """The step, in transitions per seed, at which each is to be done next; perhaps `NEVER`."""

    log: int
    evaluate: int
    save: int
    """A checkpoint."""
    learn: int
    """The warm-up is over."""


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
        learn=config.learning_starts if step < config.learning_starts else NEVER,
    )
