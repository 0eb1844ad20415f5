"""Steps between updates: the policy acts, and what the environments return waits to be inserted.

Such a step passes the arrays of an actor to the devices, in place of all that learns, and transfers
what it saw once more with the others of its block.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from jaxsac.data import packing
from jaxsac.training import learner
from jaxsac.training.schedule import Schedule
from jaxsac.training.seed_axis import SeedAxis
from jaxsac.types import Spec

FEWEST, MOST = 4, 64
"""Steps that are worth it, and that wait at most."""


class Waiting:
    """The steps of a block that have not been inserted."""

    def __init__(self, axis: SeedAxis, results: Spec, schedule: Schedule, num_envs: int) -> None:
        """Holds as many steps as the schedule leaves without an update, if they are worth it.

        Args:
          axis: how members are laid out.
          results: structs of one environment's results, by which they are packed.
          schedule: when updates are due.
          num_envs: environments of a member.
        """
        transitions = max(schedule.update_every, 1 / schedule.utd)
        between = int(transitions / num_envs) - 1
        self._room = min(between, MOST) if between >= FEWEST else 0
        self._act_step = axis.program(_unpack_and_act, num_shared=1, results_spec=results)
        self._insert_all = axis.program(
            _unpack_and_insert, num_shared=1, donate=(0,), results_spec=results
        )
        self._steps: list[tuple[np.ndarray, dict[str, np.ndarray]]] = []
        self._agent: Any = None
        self._acting: Any = None

    @property
    def has_room(self) -> bool:
        """Whether another step can wait."""
        return len(self._steps) < self._room

    def action(self, learning: learner.Carry) -> jax.Array:
        """The latest action, (S, E, A)."""
        return self._acting.action if self._steps else learning.action

    def act(
        self, learning: learner.Carry, action: np.ndarray, results: dict[str, Any], uniform: Any
    ) -> None:
        """Chooses the next action; the step waits.

        Args:
          learning: the learners as they are since the latest update.
          action: that was taken, (S, E, A).
          results: what the environments returned to it, packed.
          uniform: bool scalar, as in `Work`.
        """
        if not self._steps:
            self._agent, self._acting = learning.agent.acting, learning.acting
        self._acting = self._act_step(self._agent, self._acting, results, uniform)
        self._steps.append((action, results))

    def insert(self, learning: learner.Carry) -> learner.Carry:
        """The learners with all steps in replay, in their order; none waits any longer."""
        if not self._steps:
            return learning
        count = len(self._steps)
        repeated = self._steps + self._steps[-1:] * (self._room - count)  # one shape, one program
        stacked = jax.tree.map(lambda *rows: np.stack(rows, axis=1), *repeated)
        inserted = self._insert_all(learning, stacked, np.int32(count))
        self._steps = []
        return inserted.with_acting(self._acting)


def _unpack_and_act(
    agent: Any, acting: learner.Acting, results: Any, uniform: Any, results_spec: Spec
) -> learner.Acting:
    return learner.act_step(agent, acting, packing.unpack(results_spec, results), uniform)


def _unpack_and_insert(
    carry: learner.Carry, stacked: Any, count: jax.Array, results_spec: Spec
) -> learner.Carry:
    def insert(number: Any, carry: learner.Carry) -> learner.Carry:
        action, results = jax.tree.map(lambda rows: rows[:, number], stacked)
        result = packing.unpack(results_spec, results)
        return learner.insert(carry._replace(action=action), result)

    return jax.lax.fori_loop(0, count, insert, carry)
