"""Environments of gymnax: `reset_env(key, params)` and `step_env(key, state, action, params)`."""

from __future__ import annotations

from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxsac.envs.spaces import action_map
from jaxsac.types import PyTree, Spec


class State(struct.PyTreeNode):
    """An environment of gymnax in mid-episode."""

    inner: Any
    """gymnax's own state."""
    key: jax.Array
    """For the steps to come."""
    observation: PyTree
    reward: jax.Array
    terminated: jax.Array


class GymnaxEnv:
    """One of gymnax's environments, without its automatic resets."""

    def __init__(self, env: Any, params: Any) -> None:
        """Adapts what `gymnax.make` returns.

        Raises:
          ValueError: an action space that cannot be learned on.
        """
        self._env, self._params = env, params
        self.time_limit = int(params.max_steps_in_episode)
        # `is_terminal` takes the time limit for an end, unless there is none.
        self._without_limit = params.replace(max_steps_in_episode=np.iinfo(np.int32).max)
        self._action_map = action_map(_as_gymnasium(env.action_space(params)))
        self.action = jax.ShapeDtypeStruct((self._action_map.size,), jnp.result_type(float))
        state = jax.eval_shape(self.reset, jax.random.key(0))
        self.observation = Spec.of(state.observation).tree

    def reset(self, key: jax.Array) -> State:
        """As the environment's own."""
        reset_key, key = jax.random.split(key)
        observation, inner = self._env.reset_env(reset_key, self._params)
        return self._state(observation, inner, key, jnp.zeros((), self.action.dtype))

    def step(self, state: State, action: jax.Array) -> State:
        """As the environment's own, but for what is a termination."""
        step_key, key = jax.random.split(state.key)
        observation, inner, reward, *_ = self._env.step_env(
            step_key, state.inner, self._action_map.in_jax(action), self._params
        )
        return self._state(observation, inner, key, reward)

    def _state(self, observation: PyTree, inner: Any, key: jax.Array, reward: jax.Array) -> State:
        return State(
            inner=jax.tree.map(jnp.asarray, inner),
            key=key,
            observation=observation,
            reward=reward,
            terminated=jnp.asarray(self._env.is_terminal(inner, self._without_limit), bool),
        )


def make(name: str, **parameters: Any) -> GymnaxEnv:
    """An environment of gymnax by its name, with other values of some of its parameters.

    Raises:
      ValueError: there is none of this name, or its actions are not continuous.
      ModuleNotFoundError: gymnax, or six, which it needs and does not ask for, is not installed.
    """
    import gymnax  # pyright: ignore[reportMissingImports]

    env, defaults = gymnax.make(name)
    return GymnaxEnv(env, defaults.replace(**parameters))


def _as_gymnasium(space: Any) -> Any:
    """A box of gymnax as one of Gymnasium; anything else as it is, to be refused."""
    if not hasattr(space, "low"):
        return space
    low, high = (np.broadcast_to(bound, space.shape) for bound in (space.low, space.high))
    return gymnasium.spaces.Box(np.float32(low), np.float32(high), dtype=np.float32)
