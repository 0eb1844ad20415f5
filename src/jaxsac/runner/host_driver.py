"""Gymnasium environments on the host, and one dispatch of learning for each of their steps."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsac.envs import host
from jaxsac.envs.make import make
from jaxsac.envs.trail import Trail
from jaxsac.runner import loop
from jaxsac.runner.config import TRAINING_STREAM, RunConfig
from jaxsac.runner.driver import init_learning
from jaxsac.runner.evaluate import Policies, environment_seeds, evaluate
from jaxsac.runner.returns import Evaluation, Totals
from jaxsac.runner.seeds import SeedAxis
from jaxsac.types import PyTree


class HostDriver:
    """A `Driver` of environments that `gymnasium.make` knows."""

    def __init__(self, config: RunConfig, axis: SeedAxis) -> None:
        """Makes the environments.

        Raises:
          ValueError, ModuleNotFoundError: they cannot be made or learned on.
        """
        self._config, self._axis = config, axis
        self._envs = make_envs(config, config.num_envs)
        self._eval_envs: host.HostEnvs | None = None
        self._policies = Policies(axis)
        self._schedule = config.schedule
        learn_step = functools.partial(
            loop.learn_step, batch_size=config.batch_size, over_seeds=axis.over_members
        )
        self._learn_step = axis.compile(learn_step, num_shared=1, donate=(0,))
        self._next_action: Any = None
        self.observation = self._envs.observation_example
        self.action_map = self._envs.action_map
        self.action = jax.ShapeDtypeStruct((self._envs.action_map.size,), jnp.float32)
        self.step, self.learning, self.whole = 0, None, False

    @property
    def discarded(self) -> np.ndarray:
        """Environment steps left out so far, by seed."""
        return self._envs.discarded

    def start(self) -> None:
        """Makes the learners, starts the first episodes and asks for the first actions."""
        config = self._config
        self.learning = init_learning(config, self.observation, self.action, self._axis)
        stream = environment_seeds(config.member_seeds, (TRAINING_STREAM,), config.num_envs)
        self._learn(self._envs.reset(stream), before=0)

    def advance(self, until: int) -> Totals:
        """One step of all environments, and the learning that is due after it.

        Raises:
          Exception: what an environment raises; all is then as it was before.
        """
        del until  # never more than one step
        before = self.step
        arrival, episodes = self._envs.step(self._axis.take(np.asarray(self._next_action)))
        self.whole = False
        self.step += self._config.num_envs
        self._learn(arrival, before)
        return _totals(episodes, self._config.population)

    def evaluate(self, policy: loop.Policy, step: int, episodes: int, sampled: bool) -> Evaluation:
        """Runs episodes of each seed's policy, all seeds and episodes as one batch."""
        config, members = self._config, self._config.member_seeds
        if self._eval_envs is None or self._eval_envs.num_envs != episodes:
            self._eval_envs = make_envs(config, episodes, "evaluation of ")
        policies = self._policies
        act = policies.sampled(policy, members) if sampled else policies.mode(policy)
        return evaluate(self._eval_envs, act, members, step)

    def snapshot(self) -> tuple[PyTree, dict[str, Any]]:
        """The environments in mid-episode: how they came there."""
        envs = self._envs.snapshot()
        actions = [row for trail in envs.trails for row in trail.actions]
        nothing = np.zeros((0, *self.action.shape), self.action.dtype)
        arrays = {
            **envs.arrays,
            "actions": np.stack(actions) if actions else nothing,
            "next_action": self._axis.take(np.asarray(self._next_action)),
            "discarded": self._envs.discarded,
        }
        trails = [
            {"seed": t.seed, "generator": t.generator, "length": len(t.actions)}
            for t in envs.trails
        ]
        return arrays, {"trails": trails}

    def snapshot_structs(self, facts: dict[str, Any]) -> PyTree:
        """Structs of the arrays that were saved beside `facts`."""
        lengths = _lengths(facts)
        size, dtype = self.action.shape, self.action.dtype
        leading = (self._config.population, self._config.num_envs)
        return {
            **self._envs.snapshot_arrays(),
            "actions": jax.ShapeDtypeStruct((sum(lengths), *size), dtype),
            "next_action": jax.ShapeDtypeStruct((*leading, *size), dtype),
            "discarded": jax.ShapeDtypeStruct(leading[:1], np.int64),
        }

    def restore(
        self, step: int, learning: loop.Carry, arrays: PyTree, facts: dict[str, Any]
    ) -> int:
        """Goes to where a snapshot was taken, by taking the actions of each episode again."""
        arrays = dict(arrays)
        actions, next_action, discarded = (
            arrays.pop(name) for name in ("actions", "next_action", "discarded")
        )
        pieces = np.split(actions, np.cumsum(_lengths(facts))[:-1])
        trails = [
            Trail(int(trail["seed"]), trail["generator"], list(rows))
            for trail, rows in zip(facts["trails"], pieces, strict=True)
        ]
        restarted = self._envs.restore(host.Snapshot(trails, arrays), discarded)
        self.step, self.learning, self._next_action = step, learning, self._axis.pad(next_action)
        self.whole = True
        return len(restarted)

    def close(self) -> None:
        """Closes the environments."""
        for envs in (self._envs, self._eval_envs):
            if envs is not None:
                envs.close()

    def _learn(self, arrival: host.Arrival, before: int) -> None:
        work = self._schedule.work(before, self.step)
        arrival = self._axis.pad(arrival)
        self.learning, self._next_action = self._learn_step(self.learning, *arrival, work)
        self.whole = True


def make_envs(config: RunConfig, per_seed: int, purpose: str = "") -> host.HostEnvs:
    """Copies of the run's environment, `per_seed` of them for each seed.

    Raises:
      ValueError, ModuleNotFoundError: it cannot be made or learned on.
    """
    copies = make(
        config.env,
        config.population * per_seed,
        lambda index: f"{purpose}seed {config.member_labels[index // per_seed]}",
        config.env_timeout,
    )
    return host.HostEnvs(copies, config.population)


def _lengths(facts: dict[str, Any]) -> list[int]:
    lengths = [int(trail["length"]) for trail in facts["trails"]]
    if min(lengths) < 0:
        raise ValueError("an episode of negative length")
    return lengths


def _totals(episodes: list[host.Episode], num_seeds: int) -> Totals:
    totals = Totals.none(num_seeds)
    for episode in episodes:
        totals.episodes[episode.seed_index] += 1
        totals.returns[episode.seed_index] += episode.episode_return
        totals.lengths[episode.seed_index] += episode.length
    return totals
