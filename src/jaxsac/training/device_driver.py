"""Environments in JAX: stepping and learning both on the device, many steps a dispatch."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.stages import Compiled

from jaxsac.envs.action_map import ActionMap
from jaxsac.envs.checked import at
from jaxsac.envs.fitness.check_in_jax import contradiction
from jaxsac.envs.in_jax.device import Environment
from jaxsac.envs.in_jax.purity import impurity
from jaxsac.training import device_loop
from jaxsac.training.carry import Carry, Policy
from jaxsac.training.population import Population, evaluation_keys
from jaxsac.training.programs import kept
from jaxsac.training.returns import Evaluation, Totals
from jaxsac.training.schedule import Work
from jaxsac.training.seed_axis import SeedAxis
from jaxsac.types import PyTree

LONGEST_CHUNK = 1000
"""Steps of all environments."""
SECONDS = 0.5
"""That a chunk should take: a signal is honoured, and a display moves on, between two chunks."""


class DeviceDriver:
    """A `Driver` of environments in JAX."""

    def __init__(self, population: Population, env: Environment, axis: SeedAxis) -> None:
        """Nothing is compiled yet.

        Raises:
          ValueError: an environment that contradicts itself.
          Exception: what its `reset` or `step` raises while it is traced.
        """
        with at(f"tracing {population.env}", timeout=0):
            problem = contradiction(env)
            # Said and not refused: calls of other libraries may be traced to other constants.
            impure = None if problem else impurity(env)
        if problem:
            raise ValueError(f"{population.env}: {problem}")
        self._population, self._env, self._axis = population, env, axis
        self._learn_chunk = axis.program(
            device_loop.learn_chunk,
            num_shared=3,
            donate=(0,),
            env=env,
            batch_size=population.batch_size,
            prior_rows=population.prior_rows,
            over_seeds=axis.over_members,
        )
        self._evaluators: dict[tuple[int, bool], Any] = {}
        self._chunk = 1
        self._carry: Any = None
        self.prior: Any = ()
        self.observation, self.action = env.observation, env.action
        self.action_map = ActionMap.unit(env.action)
        self.step, self.whole = 0, False
        self.remarks = [f"{population.env}: {impure}"] if impure else []

    @property
    def learning(self) -> Any:
        """The learners, a `Carry`."""
        return self._carry.learning

    @learning.setter
    def learning(self, learning: Carry) -> None:
        self._carry = self._carry._replace(learning=learning)

    def examine(self) -> list[str]:
        """Nothing: pure functions keep no state, and have a time limit."""
        return []

    def compile(self, learning: Carry) -> Compiled:
        """Compiles the program that learns."""
        envs = self.snapshot_structs({})
        carry = self._axis.structs(device_loop.DeviceCarry(learning, envs))
        return self._learn_chunk.lower(carry, self._works(), 1, self.prior).compile()

    def start(self) -> None:
        """Makes the learners and starts the first episodes."""
        learners = self._axis.pad(self._population).learners
        self._carry = _start(self._axis, self._env)(learners)
        self.whole = True

    def advance(self, until: int) -> Totals:
        """A chunk of steps and of the learning that is due after each."""
        num_envs = self._population.num_envs
        count = min(self._chunk, -(-(until - self.step) // num_envs))
        works = self._works()
        start = time.monotonic()
        self.whole = False
        self._carry, totals = self._learn_chunk(self._carry, works, count, self.prior)
        totals = self._axis.take(jax.device_get(totals))
        self.step += count * num_envs
        self.whole = True
        self._adapt(count, time.monotonic() - start)
        return totals

    def prepare_evaluation(self, episodes: int) -> None:
        """Compiles the program that runs the episodes."""
        evaluator = self._evaluator(episodes, sampled=False)
        evaluator.lower(self.learning.policy, self._evaluation_keys(self.step)).compile()

    def evaluate(self, policy: Policy, step: int, episodes: int, sampled: bool) -> Evaluation:
        """Runs episodes of each seed's policy, all in one compiled program."""
        keys = self._evaluation_keys(step)
        results = jax.device_get(self._evaluator(episodes, sampled)(policy, keys))
        returns, lengths = self._axis.take(results)
        return Evaluation(returns.astype(np.float64), lengths)

    def _works(self) -> Work:
        """What the steps from this one on have to do."""
        population = self._population
        return population.schedule.works(self.step, LONGEST_CHUNK, population.num_envs)

    def snapshot(self) -> tuple[PyTree, dict[str, Any]]:
        """The environments in mid-episode."""
        return self._axis.take(jax.device_get(self._carry.envs)), {}

    def snapshot_structs(self, facts: dict[str, Any]) -> PyTree:
        """Structs of the arrays of a snapshot."""
        del facts
        return jax.eval_shape(functools.partial(device_loop.reset, env=self._env), self._population)

    def restore(self, step: int, learning: Carry, arrays: PyTree, facts: dict[str, Any]) -> int:
        """Goes to where a snapshot was taken."""
        del facts
        self._carry = device_loop.DeviceCarry(learning, self._axis.place(arrays))
        self.step, self.whole = step, True
        return 0

    def close(self) -> None:
        """Nothing to be done."""

    def _evaluator(self, episodes: int, sampled: bool) -> Any:
        kind = (episodes, sampled)
        if kind not in self._evaluators:
            self._evaluators[kind] = self._axis.program(
                _evaluate,
                over_members=self._axis.over_members,
                env=self._env,
                episodes=episodes,
                sampled=sampled,
                longest=self._env.time_limit,
                frame_stack=self._population.frame_stack,
            )
        return self._evaluators[kind]

    def _evaluation_keys(self, step: int) -> jax.Array:
        return evaluation_keys(self._axis.pad(self._population.seeds), step)

    def _adapt(self, count: int, seconds: float) -> None:
        """Lengthens or shortens the next chunk; where chunks end changes no number."""
        if count == self._chunk and seconds < SECONDS / 2:
            self._chunk = min(2 * count, LONGEST_CHUNK)
        elif seconds > 2 * SECONDS:
            self._chunk = max(count // 2, 1)


@kept
def _start(axis: SeedAxis, env: Environment) -> Callable[[Population], device_loop.DeviceCarry]:
    # Compiled, so that no two leaves share a buffer and the carry can be donated.
    return axis.compile_start(functools.partial(device_loop.init, env=env))


def _evaluate(
    policy: Policy, keys: jax.Array, over_members: Any, **static: Any
) -> tuple[jax.Array, jax.Array]:
    return over_members(functools.partial(device_loop.evaluate, **static))(policy, keys)
