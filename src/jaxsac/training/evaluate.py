"""Evaluation on the host, on environments and keys of its own: it never touches training."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxsac.data import frame_stack as stacking
from jaxsac.envs import host
from jaxsac.envs.fitness import time_limit
from jaxsac.training import learner
from jaxsac.training.carry import Policy
from jaxsac.training.population import EVALUATION_STREAM, Population, evaluation_keys
from jaxsac.training.returns import Evaluation
from jaxsac.training.seed_axis import SeedAxis
from jaxsac.types import PyTree


class HostEvaluator:
    """Evaluates the policies of a population in copies of its environment."""

    def __init__(self, population: Population, axis: SeedAxis, envs: host.HostEnvs) -> None:
        self._envs, self._policies = envs, Policies(axis)
        self._members: list[int] = np.asarray(population.seeds).tolist()
        self._frame_stack = population.frame_stack
        self.observation, self.action_map = envs.observation_example, envs.action_map
        self.action = jax.ShapeDtypeStruct((envs.action_map.size,), jnp.float32)

    def evaluate(self, policy: Policy, step: int, episodes: int, sampled: bool) -> Evaluation:
        """Runs episodes of each seed's policy, all seeds and copies as one batch."""
        policies, members = self._policies, self._members
        act = policies.sampled(policy, members, step) if sampled else policies.mode(policy)
        return evaluate(self._envs, act, members, step, episodes, self._frame_stack)

    def prepare(self, policy: Policy) -> None:
        """Compiles the mode of the policies for as many observations as there are copies."""
        leading = (self._envs.num_seeds, self._envs.num_envs)
        observation = jax.tree.map(
            lambda struct: np.zeros((*leading, *struct.shape), struct.dtype),
            stacking.structs(self.observation, self._frame_stack),
        )
        self._policies.mode(policy)(observation)

    def close(self) -> None:
        """Closes the copies."""
        self._envs.close()


def evaluate(
    envs: host.HostEnvs,
    act: Callable[[PyTree], np.ndarray],
    members: list[int],
    step: int,
    episodes: int | None = None,
    frame_stack: int = 1,
) -> Evaluation:
    """Episodes of each seed, as many at a time as it has copies.

    The start states depend on the member's number and on `step` alone, so an evaluation can be
    repeated exactly, and how often it runs changes nothing else.

    Args:
      envs: S seeds × their copies.
      act: observation (S, E, ...) -> action (S, E, A).
      members: the S seed numbers.
      step: transitions trained so far.
      episodes: of each seed; one in each copy by default.
      frame_stack: observations that `act` sees at once.

    Returns:
      Returns and lengths; NaN for an episode with a NaN or an infinity in it.

    Raises:
      ValueError: an episode does not end.
    """
    copies, count = envs.num_envs, episodes or envs.num_envs
    seeds = np.array(seeds_of_members(members, (EVALUATION_STREAM, step), count))
    seeds = seeds.reshape(len(members), count)
    rounds = []
    for first in range(0, count, copies):
        now = seeds[:, first : first + copies]
        missing = copies - now.shape[1]  # copies that are left over repeat an episode
        padded = np.pad(now, ((0, 0), (0, missing)), mode="edge")
        each = _evaluate_once(envs, act, padded.ravel().tolist(), frame_stack)
        rounds.append(jax.tree.map(lambda x, now=now: x[:, : now.shape[1]], each))
    return jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *rounds)


def _evaluate_once(
    envs: host.HostEnvs, act: Callable[[PyTree], np.ndarray], seeds: list[int], frame_stack: int
) -> Evaluation:
    """One episode in every copy."""
    seen = stacking.begin(envs.reset(seeds), frame_stack, np)
    returns = np.full((envs.num_seeds, envs.num_envs), np.nan)
    lengths = np.zeros((envs.num_seeds, envs.num_envs), np.int64)
    ended = np.zeros((envs.num_seeds, envs.num_envs), bool)
    limit = envs.ask_first(time_limit.limit)
    for _ in range(limit.steps):
        result, end = envs.step(act(seen))
        first = end.mask & ~ended
        returns = np.where(first, end.episode_return, returns)
        lengths = np.where(first, end.episode_length, lengths)
        ended |= end.mask | ~result.valid
        if ended.all():
            return Evaluation(returns, lengths)
        seen = stacking.follow(seen, result.observation, result.over, np)
    raise time_limit.without_end(limit)


_act = jax.vmap(learner.act)


class Policies:
    """The policies of a group of seeds, compiled once for any parameters."""

    def __init__(self, axis: SeedAxis) -> None:
        self._axis = axis
        self._act = axis.program(_act)

    def mode(self, policy: Policy) -> Callable[[PyTree], np.ndarray]:
        """The deterministic policy tanh(mean) of each seed."""
        pad, take = self._axis.pad, self._axis.take
        return lambda observation: take(np.asarray(self._act(policy, pad(observation))))

    def sampled(
        self, policy: Policy, members: list[int], step: int
    ) -> Callable[[PyTree], np.ndarray]:
        """The stochastic policy of each seed; its keys are those of its evaluation at a step."""
        pad, take = self._axis.pad, self._axis.take
        keys = evaluation_keys(pad(np.asarray(members)), step)

        def act(observation: PyTree) -> np.ndarray:
            nonlocal keys
            keys, now = jax.vmap(jax.random.split, out_axes=1)(keys)
            return take(np.asarray(self._act(policy, pad(observation), now)))

        return act


def seeds_of_members(members: list[int], stream: tuple[int, ...], count: int) -> list[int]:
    """Seeds for `count` environments of each member, in the order of `HostEnvs`."""
    return [seed for member in members for seed in host.environment_seeds(member, stream, count)]
