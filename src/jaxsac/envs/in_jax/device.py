"""Environments in JAX, stepped inside compiled programs.

An environment is two pure functions of one copy. Copies, time limits, restarts and the true last
observation of an episode are the matter of this file.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxsac.envs.step_result import EpisodeEnd, StepResult
from jaxsac.types import PyTree


class EnvState(Protocol):
    """What an environment returns: a pytree with at least these leaves."""

    observation: PyTree
    reward: jax.Array
    """Of the step that led here, scalar."""
    terminated: jax.Array
    """bool scalar: the process has ended here."""


class Environment(Protocol):
    """One copy of an environment."""

    @property
    def time_limit(self) -> int:
        """Steps after which an episode is cut, though the process goes on."""
        ...

    @property
    def observation(self) -> PyTree:
        """Structs of one observation."""
        ...

    @property
    def action(self) -> jax.ShapeDtypeStruct:
        """Struct of one action, (A,), in [-1, 1]."""
        ...

    def reset(self, key: jax.Array) -> Any:
        """The `EnvState` at the start of an episode."""
        ...

    def step(self, state: Any, action: jax.Array) -> Any:
        """The `EnvState` after one action."""
        ...


class Envs(NamedTuple):
    """E copies in mid-episode."""

    state: Any
    key: jax.Array
    """For the starts of the episodes to come."""
    episode_return: jax.Array
    """Of the running episodes, (E,)."""
    episode_length: jax.Array
    """Of the running episodes, int32 (E,)."""


def reset(env: Environment, key: jax.Array, num_envs: int) -> Envs:
    """Starts `num_envs` episodes."""
    key, reset_key = jax.random.split(key)
    state = jax.vmap(env.reset)(jax.random.split(reset_key, num_envs))
    zeros = jnp.zeros(num_envs, env.action.dtype)
    return Envs(state, key, zeros, jnp.zeros(num_envs, jnp.int32))


def step(env: Environment, envs: Envs, action: jax.Array) -> tuple[Envs, StepResult, EpisodeEnd]:
    """Steps every copy, and starts the next episode of those that have ended.

    A step with a NaN or an infinity in observation, reward or action is no transition, and its
    episode is over.

    Args:
      env: the environment.
      envs: E copies.
      action: (E, A) in [-1, 1]. A row that is not finite is replaced by zeros.

    Returns:
      The copies, and what each returned, with the leading axis E alone.
    """
    observation = envs.state.observation
    finite_action = _finite_rows(action)
    action = jnp.where(finite_action[:, None], action, 0)
    state = jax.vmap(env.step)(envs.state, action)
    next_observation, reward = state.observation, state.reward.astype(action.dtype)
    discount = 1 - state.terminated.astype(action.dtype)
    valid = finite_action & jnp.isfinite(reward)
    valid &= _finite_rows(observation) & _finite_rows(next_observation)
    episode_return, episode_length = envs.episode_return + reward, envs.episode_length + 1
    done = state.terminated | (episode_length >= env.time_limit)
    end = EpisodeEnd(done & valid, episode_return, episode_length)

    over = done | ~valid
    key, reset_key = jax.random.split(envs.key)
    fresh = jax.vmap(env.reset)(jax.random.split(reset_key, len(over)))
    state = jax.tree.map(lambda new, old: _where(over, new, old), fresh, state)
    envs = Envs(state, key, jnp.where(over, 0, episode_return), jnp.where(over, 0, episode_length))
    result = StepResult(reward, discount, next_observation, valid, state.observation, over)
    return envs, result, end


def _finite_rows(tree: PyTree) -> jax.Array:
    """bool (E,): rows of a batched pytree without a NaN or an infinity."""
    rows = [jnp.isfinite(leaf).reshape(len(leaf), -1).all(axis=1) for leaf in jax.tree.leaves(tree)]
    return jnp.stack(rows).all(axis=0)


def _where(mask: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    return jnp.where(mask.reshape(-1, *[1] * (new.ndim - 1)), new, old)
