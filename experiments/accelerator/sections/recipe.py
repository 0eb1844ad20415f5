"""A recipe of the family at its own size, ten seeds of HalfCheetah-v4 in one program."""

from __future__ import annotations

import functools
import os

from section import REHEARSE, attempt, leave, wait_for_card  # isort: skip
from learning import SEEDS, learn

PRESET = os.environ.get("ACCELERATOR_RECIPE", "fast")
TINY = {"critic_hidden_sizes": (8, 8), "actor_hidden_sizes": (8, 8)}


def main() -> None:
    """As many of 100,000 steps as fit into the time, each with the updates that it is due."""
    own = {"preset": PRESET, "steps": 100_000, **(TINY if REHEARSE else {})}
    wait_for_card()
    attempt(PRESET, functools.partial(learn, **own), PRESET, seeds=SEEDS)


if __name__ == "__main__":
    leave(main)
