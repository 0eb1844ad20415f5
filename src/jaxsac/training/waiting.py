"""Steps between updates: the policy acts, and what the environments return waits to be inserted.

Such a step needs an actor alone, in place of all that learns. It acts where the environments step,
so that an accelerator is asked nothing until the next update, which has all steps of the block at
once.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from jaxsac.data import packing
from jaxsac.sac.encoders import is_image
from jaxsac.training import learner
from jaxsac.training.carry import Acting, Carry
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
          axis: how members are laid out where they learn.
          results: structs of one environment's results, by which they are packed.
          schedule: when updates are due.
          num_envs: environments of a member.
        """
        transitions = max(schedule.update_every, 1 / schedule.utd)
        between = int(transitions / num_envs) - 1
        self._room = min(between, MOST) if between >= FEWEST else 0
        # What images take is what an accelerator is for.
        sees_images = any(map(is_image, results.leaves))
        self._axis, self._host = axis, axis if sees_images else axis.on_host()
        self._act_step = self._host.program(_unpack_and_act, num_shared=1, results_spec=results)
        self._insert_all = axis.program(
            _unpack_and_insert, num_shared=1, donate=(0,), results_spec=results
        )
        self._uniform = self._host.share({each: np.bool_(each) for each in (False, True)})
        self._steps: list[tuple[np.ndarray, dict[str, np.ndarray]]] = []
        self._agent: Any = None
        self._acting: Any = None

    @property
    def pays(self) -> bool:
        """Whether steps wait at all."""
        return self._room > 0

    def action(self, learning: Carry) -> np.ndarray:
        """The latest action, (S, E, A)."""
        if self._steps:
            return self._host.take(np.asarray(self._acting.action))
        return self._axis.take(np.asarray(learning.action))

    def act(
        self, learning: Carry, action: np.ndarray, results: dict[str, Any], uniform: Any
    ) -> Carry:
        """Chooses the next action; the step waits.

        When it acts is the schedule's matter alone: who looks at the learners meanwhile, and how
        many steps can wait, changes nothing.

        Args:
          learning: the learners as they are since the latest update.
          action: that was taken, (S, E, A).
          results: what the environments returned to it, packed.
          uniform: bool, as in `Work`.

        Returns:
          The learners; with all steps before this one, if no more could wait.
        """
        if len(self._steps) == self._room:
            learning = self.insert(learning)
        if not self._steps:
            before = learning.agent.acting, learning.acting
            self._agent, self._acting = self._axis.move(before, self._host)
        self._acting = self._act_step(
            self._agent, self._acting, self._host.pad(results), self._uniform[bool(uniform)]
        )
        self._steps.append((action, results))
        return learning

    def insert(self, learning: Carry) -> Carry:
        """The learners with all steps in replay, in their order; none waits any longer."""
        if not self._steps:
            return learning
        count = len(self._steps)
        repeated = self._steps + self._steps[-1:] * (self._room - count)  # one shape, one program
        stacked = jax.tree.map(lambda *rows: np.stack(rows, axis=1), *repeated)
        acting = self._host.move(self._acting, self._axis)
        inserted = self._insert_all(learning, self._axis.pad(stacked), np.int32(count))
        self._steps = []
        return inserted.with_acting(acting)


def _unpack_and_act(
    agent: Any, acting: Acting, results: Any, uniform: Any, results_spec: Spec
) -> Acting:
    return learner.act_step(agent, acting, packing.unpack(results_spec, results), uniform)


def _unpack_and_insert(carry: Carry, stacked: Any, count: jax.Array, results_spec: Spec) -> Carry:
    def insert(number: Any, carry: Carry) -> Carry:
        action, results = jax.tree.map(lambda rows: rows[:, number], stacked)
        result = packing.unpack(results_spec, results)
        return learner.insert(carry._replace(action=action), result)

    return jax.lax.fori_loop(0, count, insert, carry)
