"""Gymnasium environments on the host, and one dispatch of learning for each of their steps."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Compiled

from jaxsac.data import frame_stack, packing
from jaxsac.envs import host
from jaxsac.envs.action_log import ActionLog
from jaxsac.envs.checked import close_and_tell
from jaxsac.training import learner
from jaxsac.training.carry import Carry, Policy
from jaxsac.training.copies import (
    TRAINING,
    examine_first,
    make_envs,
    make_evaluation_envs,
    say_in_turn,
)
from jaxsac.training.driver import init_learning
from jaxsac.training.evaluate import HostEvaluator, seeds_of_members
from jaxsac.training.population import TRAINING_STREAM, Population
from jaxsac.training.returns import Evaluation, Totals
from jaxsac.training.schedule import Work
from jaxsac.training.seed_axis import SeedAxis
from jaxsac.training.waiting import Waiting
from jaxsac.types import PyTree, Spec


class HostDriver:
    """A `Driver` of environments that `gymnasium.make` knows."""

    def __init__(self, population: Population, axis: SeedAxis) -> None:
        """Makes the environments.

        Raises:
          ValueError, ModuleNotFoundError: they cannot be made or learned on.
        """
        self._population, self._axis = population, axis
        self._members: list[int] = np.asarray(population.seeds).tolist()
        self._envs = make_envs(population, population.num_envs)
        try:
            self._make_evaluator()
        except BaseException:
            self._envs.close()
            raise
        self.observation = self._envs.observation_example
        self.action_map = self._envs.action_map
        self.action = jax.ShapeDtypeStruct((self._envs.action_map.size,), jnp.float32)
        self._results = Spec.of(host.result_structs(self.observation))
        self._learn_step = axis.program(
            _unpack_and_learn,
            num_shared=2,
            donate=(0,),
            results_spec=self._results,
            batch_size=population.batch_size,
            prior_rows=population.prior_rows,
            over_seeds=axis.over_members,
        )
        self._works: dict[Work, Any] = {}
        self._waiting = Waiting(axis, self._results, population.schedule, population.num_envs)
        self._learning: Any = None
        self.step, self.whole = 0, False
        self.prior: Any = ()

    @property
    def learning(self) -> Any:
        """The learners, a `Carry`, with every step in replay."""
        self._learning = self._waiting.insert(self._learning)
        return self._learning

    @learning.setter
    def learning(self, learning: Carry) -> None:
        self._learning = learning

    def _make_evaluator(self) -> None:
        """Before the first step, so that an environment that cannot be evaluated costs nothing."""
        population, self.remarks = self._population, []
        self._eval_envs: host.HostEnvs | None = None
        if population.eval_episodes:
            self._eval_envs, remark = make_evaluation_envs(population, population.eval_episodes)
            self.remarks = [remark] if remark else []
        self._evaluator = HostEvaluator(population, self._axis, self._eval_envs or self._envs)

    def examine(self) -> list[str]:
        """Looks for what would spoil a run, in copies of the environment that do not train."""
        population = self._population
        found = examine_first(self._envs, population)
        if found.alone is None or self._eval_envs is None or population.eval_envs is not None:
            return found.remarks
        close_and_tell(population.env, self._eval_envs)
        self._eval_envs = None
        self._evaluator = HostEvaluator(population, self._axis, self._envs)
        return [*found.remarks, say_in_turn(population, TRAINING, found.alone)]

    def compile(self, learning: Carry) -> Compiled:
        """Compiles the program that learns."""
        population = self._population
        leading = (population.size, population.num_envs)
        result = jax.tree.map(lambda x: np.zeros((*leading, *x.shape), x.dtype), self._results.tree)
        return self._learn_step.lower(
            self._axis.structs(learning),
            self._axis.pad(packing.pack(self._results, result, np)),
            self._on_devices(population.schedule.work(0, population.num_envs)),
            self.prior,
        ).compile()

    def start(self) -> None:
        """Makes the learners and starts the first episodes."""
        population = self._population
        stream = seeds_of_members(self._members, (TRAINING_STREAM,), population.num_envs)
        first = self._envs.reset(stream)
        self.learning = init_learning(population, first, self.action, self._axis)
        self.whole = True

    def advance(self, until: int) -> Totals:
        """One step of all environments, and the learning that is due after it.

        Raises:
          Exception: what an environment raises; all is then as it was before.
        """
        del until  # never more than one step
        action = self._waiting.action(self._learning)
        result, end = self._envs.step(action)
        self.whole = False
        before, self.step = self.step, self.step + self._population.num_envs
        work = self._population.schedule.work(before, self.step)
        results = packing.pack(self._results, result, np)
        if work.num_updates == 0 and self._waiting.pays:
            self._learning = self._waiting.act(self._learning, action, results, work.uniform)
        else:
            self._learning = self._learn_step(
                self.learning, self._axis.pad(results), self._on_devices(work), self.prior
            )
        self.whole = True
        return Totals.of(end, result.valid)

    def _on_devices(self, work: Work) -> Any:
        """The work as arrays that are there already: few are ever different."""
        if work not in self._works:
            self._works[work] = self._axis.share(work)
        return self._works[work]

    def prepare_evaluation(self, episodes: int) -> None:
        """Compiles the policy for as many observations as there are copies."""
        self._evaluator.prepare(self.learning.policy)

    def evaluate(self, policy: Policy, step: int, episodes: int, sampled: bool) -> Evaluation:
        """Runs episodes of each seed's policy, all seeds and copies as one batch."""
        evaluate = functools.partial(self._evaluator.evaluate, policy, step, episodes, sampled)
        if self._eval_envs is not None:
            return evaluate()
        snapshot, learning = self._envs.snapshot(), self.learning
        observation = self._latest(learning)
        try:
            evaluation = evaluate()
        finally:
            self._envs.take_for(snapshot)
        observation, restarted = self._envs.restore(snapshot, observation)
        self.learning = self._from(observation, restarted, learning)
        return evaluation

    def snapshot(self) -> tuple[PyTree, dict[str, Any]]:
        """The environments in mid-episode: how they came there."""
        logs, returns, lengths = self._envs.snapshot()
        actions = np.array([row for log in logs for row in log.actions], self.action.dtype)
        facts = [
            {"seed": log.seed, "generator": log.generator, "length": len(log.actions)}
            for log in logs
        ]
        actions = actions.reshape(-1, *self.action.shape)
        return {"returns": returns, "lengths": lengths, "actions": actions}, {"logs": facts}

    def snapshot_structs(self, facts: dict[str, Any]) -> PyTree:
        """Structs of the arrays that were saved beside `facts`."""
        count = self._population.size * self._population.num_envs
        rows = (sum(_lengths(facts)), *self.action.shape)
        return {
            "returns": jax.ShapeDtypeStruct((count,), np.float64),
            "lengths": jax.ShapeDtypeStruct((count,), np.int64),
            "actions": jax.ShapeDtypeStruct(rows, self.action.dtype),
        }

    def restore(self, step: int, learning: Carry, arrays: PyTree, facts: dict[str, Any]) -> int:
        """Goes to where a snapshot was taken, by taking the actions of each episode again."""
        pieces = np.split(arrays["actions"], np.cumsum(_lengths(facts))[:-1])
        logs = [
            ActionLog(_seed(log["seed"]), log["generator"], list(rows))
            for log, rows in zip(facts["logs"], pieces, strict=True)
        ]
        snapshot = host.Snapshot(logs, arrays["returns"], arrays["lengths"])
        observation, restarted = self._envs.restore(snapshot, self._latest(learning))
        self.learning = self._from(observation, restarted, learning)
        self.step, self.whole = step, True
        return len(restarted)

    def _latest(self, learning: Carry) -> PyTree:
        """What the environments have returned last, (S, E, ...)."""
        latest = frame_stack.newest(learning.observation, self.observation)
        return self._axis.take(jax.device_get(latest))

    def _from(self, observation: PyTree, restarted: list[int], learning: Carry) -> Carry:
        """The learners where some environments have begun another episode."""
        if not restarted:
            return learning
        over = np.zeros((self._population.size, self._population.num_envs), bool)
        over.flat[restarted] = True
        restart = self._axis.program(learner.restart, donate=(0,))
        return restart(learning, self._axis.pad(observation), self._axis.pad(over))

    def close(self) -> None:
        """Closes the environments, all of them, also after one that raises."""
        with contextlib.ExitStack() as closing:
            for envs in (self._eval_envs, self._envs):
                if envs is not None:
                    closing.callback(envs.close)


def _unpack_and_learn(
    carry: Carry, results: Any, work: Work, prior: Any, results_spec: Spec, **static: Any
) -> Carry:
    """`learn_step` on packed results, which cross to the device at once."""
    return learner.learn_step(carry, packing.unpack(results_spec, results), work, prior, **static)


def _lengths(facts: dict[str, Any]) -> list[int]:
    lengths = [int(log["length"]) for log in facts["logs"]]
    if min(lengths) < 0:
        raise ValueError("an episode of negative length")
    return lengths


def _seed(number: Any) -> int:
    """A seed as it was saved; an environment takes no other."""
    if (seed := int(number)) < 0:
        raise ValueError(f"a saved seed is {seed}, which no environment was given.")
    return seed
