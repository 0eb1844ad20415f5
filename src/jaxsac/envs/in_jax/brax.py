"""Environments with Brax's protocol, of Brax itself and of MuJoCo Playground.

That is `reset(rng)` and `step(state, action)`, actions in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from jaxsac.types import PyTree, Spec

TIME_LIMIT = 1000
"""Brax's environments have none of their own; its training cuts them here."""


class State(struct.PyTreeNode):
    """An environment of Brax in mid-episode."""

    inner: Any
    """Brax's own state."""
    observation: PyTree
    reward: jax.Array
    terminated: jax.Array


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
        self.observation = Spec.of(state.observation).tree

    def reset(self, key: jax.Array) -> State:
        """As the environment's own."""
        # Brax was written for keys that are plain numbers.
        return self._state(self._env.reset(jax.random.key_data(key)))

    def step(self, state: State, action: jax.Array) -> State:
        """As the environment's own."""
        return self._state(self._env.step(state.inner, jnp.clip(action, -1, 1)))

    def _state(self, inner: Any) -> State:
        return State(
            inner=inner,
            observation=self._observe(inner.obs),
            reward=inner.reward,
            terminated=inner.done.astype(bool),
        )


def make(name: str, **kwargs: Any) -> BraxEnv:
    """An environment of Brax by its name, made with arguments of its own.

    Raises:
      ValueError: there is none of this name.
      ModuleNotFoundError: Brax is not installed.
    """
    from brax import envs  # pyright: ignore[reportMissingImports]

    try:
        return BraxEnv(envs.get_environment(name, **kwargs))
    except KeyError as error:
        raise ValueError(f"unknown environment id 'brax:{name}': Brax has no {error}.") from error


def make_of_playground(name: str, **overrides: Any) -> BraxEnv:
    """An environment of MuJoCo Playground by its name, cut at the length that it is made for.

    Args:
      name: in Playground's registry.
      **overrides: of its default configuration.

    Raises:
      ValueError: there is none of this name, or it has no such setting.
      ModuleNotFoundError: MuJoCo Playground is not installed.
    """
    from mujoco_playground import registry  # pyright: ignore[reportMissingImports]

    config = registry.get_default_config(name)
    # MJX in plain JAX runs everywhere; the default, Warp, needs a GPU of NVIDIA.
    if "impl" in config:
        overrides = {"impl": "jax", **overrides}
    try:
        env = registry.load(name, config_overrides=overrides)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"playground:{name} does not take the env_kwargs {overrides}: its configuration has "
            f"{', '.join(config)}, each with values of one type."
        ) from error
    time_limit = overrides.get("episode_length", config.episode_length)
    return BraxEnv(env, time_limit, _seen_by_the_policy)


def _seen_by_the_policy(observation: PyTree) -> PyTree:
    """Leaves out what only a critic may see, as the policy gets the same observation here."""
    if isinstance(observation, Mapping) and "state" in observation:
        return observation["state"]
    return observation
