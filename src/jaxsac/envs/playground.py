"""Environments of MuJoCo Playground, which have Brax's protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxsac.envs.brax import BraxEnv
from jaxsac.types import PyTree


def make(name: str) -> BraxEnv:
    """An environment of MuJoCo Playground by its name, cut at the length that it is made for.

    Raises:
      ValueError: there is none of this name.
      ModuleNotFoundError: MuJoCo Playground is not installed.
    """
    from mujoco_playground import registry  # pyright: ignore[reportMissingImports]

    config = registry.get_default_config(name)
    # MJX in plain JAX runs everywhere; the default, Warp, needs a GPU of NVIDIA.
    overrides: dict[str, Any] = {"impl": "jax"} if "impl" in config else {}
    env = registry.load(name, config_overrides=overrides)
    return BraxEnv(env, config.episode_length, _seen_by_the_policy)


def _seen_by_the_policy(observation: PyTree) -> PyTree:
    """Leaves out what only a critic may see, as the policy gets the same observation here."""
    if isinstance(observation, Mapping) and "state" in observation:
        return observation["state"]
    return observation
