"""When a member explores and when it updates."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any, NamedTuple

import jax.numpy as jnp


class Work(NamedTuple):
    """What a step has to do; the same for all seeds."""

    num_updates: Any
    """int32 scalar."""
    uniform: Any
    """bool scalar: act uniformly (warm-up) instead of by the policy."""


@dataclasses.dataclass(frozen=True)
class Schedule:
    """When to explore and when to update, counted in transitions of one seed."""

    learning_starts: int
    """Transitions collected before the first update."""
    utd: Fraction
    """Updates per transition."""
    update_every: int = 1
    """Transitions between updates; those that are due are then done together."""
    explores: bool = True
    """Whether actions are uniform before the first update, and not those of the policy."""

    def updates_due(self, transitions: int) -> int:
        """Updates that have to be done once `transitions` have been collected."""
        since_start = max(0, transitions - self.learning_starts)
        return int(self.utd * (since_start - since_start % self.update_every))

    def work(self, before: int, after: int) -> Work:
        """The work of the step in which the count of transitions goes from `before` to `after`."""
        return Work(
            num_updates=self.updates_due(after) - self.updates_due(before),
            uniform=self.explores and after < self.learning_starts,
        )

    def works(self, before: int, count: int, num_envs: int) -> Work:
        """The work of `count` steps after `before` transitions, (T,)."""
        befores = range(before, before + count * num_envs, num_envs)
        each = [self.work(before, before + num_envs) for before in befores]
        return Work(
            jnp.array([work.num_updates for work in each], jnp.int32),
            jnp.array([work.uniform for work in each], bool),
        )
