"""Evaluation on the host, on environments and keys of its own: it never touches training."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

from jaxsac.envs import host, time_limit
from jaxsac.training import learner
from jaxsac.training.population import EVALUATION_STREAM
from jaxsac.training.returns import Evaluation
from jaxsac.training.seed_axis import SeedAxis
from jaxsac.types import PyTree


def evaluate(
    envs: host.HostEnvs,
    act: Callable[[PyTree], np.ndarray],
    members: list[int],
    step: int,
) -> Evaluation:
    """One episode in every environment, all seeds and episodes as one batch.

    The start states depend on the member's number and on `step` alone, so an evaluation can be
    repeated exactly, and how often it runs changes nothing else.

    Args:
      envs: S seeds × one environment per episode.
      act: observation (S, E, ...) -> action (S, E, A).
      members: the S seed numbers.
      step: transitions trained so far.

    Returns:
      Returns and lengths; NaN for an episode with a NaN or an infinity in it.

    Raises:
      ValueError: an episode does not end.
    """
    observation = envs.reset(environment_seeds(members, (EVALUATION_STREAM, step), envs.num_envs))
    returns = np.full((envs.num_seeds, envs.num_envs), np.nan)
    lengths = np.zeros((envs.num_seeds, envs.num_envs), np.int64)
    ended = np.zeros((envs.num_seeds, envs.num_envs), bool)
    longest = time_limit.declared(envs.first) or time_limit.LONGEST_EPISODE
    for _ in range(longest):
        result, end = envs.step(act(observation))
        first = end.mask & ~ended
        returns = np.where(first, end.episode_return, returns)
        lengths = np.where(first, end.episode_length, lengths)
        ended |= end.mask | ~result.valid
        if ended.all():
            return Evaluation(returns, lengths)
        observation = result.observation
    raise ValueError(
        f"an episode of an evaluation has no end after {longest:,} steps, and the environment "
        f"declares no time limit: {time_limit.REMEDY}."
    )


class Policies:
    """The policies of a group of seeds, compiled once for any parameters."""

    def __init__(self, axis: SeedAxis) -> None:
        self._axis = axis
        self._act = axis.compile(jax.vmap(learner.act))

    def mode(self, policy: learner.Policy) -> Callable[[PyTree], np.ndarray]:
        """The deterministic policy tanh(mean) of each seed."""
        pad, take = self._axis.pad, self._axis.take
        return lambda observation: take(np.asarray(self._act(policy, pad(observation))))

    def sampled(self, policy: learner.Policy, members: list[int]) -> Callable[[PyTree], np.ndarray]:
        """The stochastic policy of each seed, with keys of its own."""
        pad, take = self._axis.pad, self._axis.take
        keys = jax.vmap(jax.random.key)(pad(np.asarray(members)))

        def act(observation: PyTree) -> np.ndarray:
            nonlocal keys
            keys, now = jax.vmap(jax.random.split, out_axes=1)(keys)
            return take(np.asarray(self._act(policy, pad(observation), now)))

        return act


def environment_seeds(members: list[int], stream: tuple[int, ...], count: int) -> list[int]:
    """Seeds for `count` environments of each member, in the order of `HostEnvs`."""
    return [seed for member in members for seed in host.environment_seeds(member, stream, count)]
