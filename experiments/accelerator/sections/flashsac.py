"""FlashSAC's recipe at its own size, ten seeds of HalfCheetah-v4 in one program."""

from __future__ import annotations

import functools

from section import REHEARSE, attempt, leave, wait_for_card  # isort: skip
from learning import learn

SEEDS = 2 if REHEARSE else 10


def main() -> None:
    """As many of 100,000 steps as fit into the time."""
    own = {"preset": "flashsac", "steps": 100_000}
    if REHEARSE:
        sizes = {"critic_hidden_sizes": (8, 8), "actor_hidden_sizes": (8, 8), "batch_size": 8}
        own |= {"steps": 200, **sizes}
    wait_for_card()
    attempt("flashsac", functools.partial(learn, **own), "HalfCheetah-v4", "flashsac", SEEDS)


if __name__ == "__main__":
    leave(main)
