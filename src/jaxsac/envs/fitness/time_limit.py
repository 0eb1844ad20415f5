"""Whether the episodes of an environment end."""

from __future__ import annotations

import time
from typing import NamedTuple

import gymnasium
from gymnasium.wrappers import TimeLimit

from jaxsac.envs.fitness.determinism import layers
from jaxsac.envs.walk import SEED, random_actions

LONGEST_EPISODE = 10_000
"""Steps after which an episode counts as one without end, where no limit is declared."""
SECONDS = 2.0
"""After which a slow simulator is not watched any longer."""
REMEDY = (
    "give it a time limit, which is no termination: a registered id with --env-kwargs "
    """'{"max_episode_steps": 1000}', say, what a function makes with """
    "`gymnasium.wrappers.TimeLimit(env, 1000)`; or train without evaluation: --eval-every 0"
)


class Limit(NamedTuple):
    """Steps after which an episode is given up."""

    steps: int
    declared: bool
    """Whether the environment itself cuts its episodes there."""


class Watched(NamedTuple):
    """An episode by random actions."""

    steps: int
    ended: bool
    """False where it was given up."""

    @property
    def is_endless(self) -> bool:
        """Whether an evaluation would give it up too."""
        return not self.ended and self.steps >= LONGEST_EPISODE

    def describe(self) -> str:
        """That it did not end, and what follows, for a person."""
        so_far = f"no episode ended in {self.steps:,} random steps"
        if self.is_endless:
            return f"{so_far}: an evaluation would not end. Either {REMEDY}."
        return (
            f"{so_far}: if none does in {LONGEST_EPISODE:,}, an evaluation gives up and ends the "
            f"run. To be sure, {REMEDY}."
        )


def declared(env: gymnasium.Env) -> int | None:
    """Steps after which an environment's wrappers cut its episodes; None where none does."""
    limits = [x._max_episode_steps for x in layers(env) if isinstance(x, TimeLimit)]
    return min(limits, default=None)


def limit(env: gymnasium.Env) -> Limit:
    """How long an episode is played."""
    steps = declared(env)
    return Limit(steps or LONGEST_EPISODE, steps is not None)


def without_end(limit: Limit) -> ValueError:
    """The error of an episode that goes on past its limit."""
    what = "goes on past the limit that it declares" if limit.declared else "declares no time limit"
    return ValueError(
        f"an episode has no end after {limit.steps:,} steps, and the environment {what}: {REMEDY}."
    )


def watch(env: gymnasium.Env) -> Watched:
    """Takes random actions until an episode ends, or the steps or the seconds are over."""
    actions = random_actions(env, 1000)
    env.reset(seed=SEED)
    end = time.monotonic() + SECONDS
    for count in range(LONGEST_EPISODE):
        if time.monotonic() > end:
            return Watched(count, ended=False)
        _, _, terminated, truncated, _ = env.step(actions[count % len(actions)].copy())
        if terminated or truncated:
            return Watched(count + 1, ended=True)
    return Watched(LONGEST_EPISODE, ended=False)
