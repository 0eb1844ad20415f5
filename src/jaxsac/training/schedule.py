"""When a member explores and when it updates."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np


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

    def updates_due(self, transitions: Any) -> Any:
        """Updates that have to be done once `transitions`, a number or numbers, are collected."""
        since_start = np.maximum(0, transitions - self.learning_starts)
        counted = since_start - since_start % self.update_every
        return self.utd.numerator * counted // self.utd.denominator

    def work(self, before: int, after: int) -> Work:
        """The work of the step in which the count of transitions goes from `before` to `after`."""
        num_updates = self.updates_due(after) - self.updates_due(before)
        return Work(np.int32(num_updates), np.bool_(self.explores and after < self.learning_starts))

    def works(self, before: int, count: int, num_envs: int) -> Work:
        """The work of `count` steps after `before` transitions, (T,)."""
        transitions = before + num_envs * np.arange(count + 1)
        num_updates = np.diff(self.updates_due(transitions)).astype(np.int32)
        uniform = self.explores & (transitions[1:] < self.learning_starts)
        return Work(num_updates, uniform)
