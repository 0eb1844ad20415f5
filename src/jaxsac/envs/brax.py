"""Environments with Brax's protocol: `reset(rng)` and `step(state, action)`, in [-1, 1]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxsac.types import PyTree

TIME_LIMIT = 1000
"""Brax's environments have none of their own; its training cuts them here."""


class State(struct.PyTreeNode):
    """An environment of Brax in mid-episode."""

    inner: Any
    """Brax's own state."""
    steps: jax.Array
    """Of this episode, int32."""
    observation: PyTree
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array


class BraxEnv:
    """One of Brax's environments, without its wrappers.

    Those repeat one first state for ever and put it in place of the last observation.
    """

    def __init__(
        self, env: Any, time_limit: int = TIME_LIMIT, observe: Callable[[Any], PyTree] = lambda x: x
    ) -> None:
        """Adapts `env`.

        Args:
          env: anything with Brax's `reset`, `step` and `action_size`.
          time_limit: steps after which an episode is cut; `done` before it is a termination.
          observe: what to take of an observation.
        """
        self._env, self._observe, self.time_limit = env, observe, time_limit
        self.action = jax.ShapeDtypeStruct((env.action_size,), jnp.result_type(float))
        state = jax.eval_shape(self.reset, jax.random.key(0))
        self.observation = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state.observation
        )

    def reset(self, key: jax.Array) -> State:
        """As the environment's own."""
        # Brax was written for keys that are plain numbers.
        inner = self._env.reset(jax.random.key_data(key))
        return self._state(inner, jnp.zeros((), jnp.int32))

    def step(self, state: State, action: jax.Array) -> State:
        """As the environment's own."""
        inner = self._env.step(state.inner, jnp.clip(action, -1, 1))
        return self._state(inner, state.steps + 1)

    def _state(self, inner: Any, steps: jax.Array) -> State:
        return State(
            inner=inner,
            steps=steps,
            observation=self._observe(inner.obs),
            reward=inner.reward,
            terminated=inner.done.astype(bool),
            truncated=steps >= self.time_limit,
        )


def make(name: str) -> BraxEnv:
    """An environment of Brax by its name.

    Raises:
      ValueError: there is none of this name.
      ModuleNotFoundError: Brax is not installed.
    """
    from brax import envs  # pyright: ignore[reportMissingImports]

    try:
        return BraxEnv(envs.get_environment(name))
    except KeyError as error:
        raise ValueError(f"unknown environment id 'brax:{name}': Brax has no {error}.") from error
