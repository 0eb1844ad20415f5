"""Environments in JAX by their id, `family:Name`."""

from __future__ import annotations

from collections.abc import Callable

from jaxsac.envs.device import Environment
from jaxsac.envs.pendulum import Pendulum


def make_in_jax(env_id: str) -> Environment | None:
    """The environment in JAX that an id names, or None if it names one for the host.

    Args:
      env_id: `jaxsac:Pendulum-v1`, say.

    Raises:
      ValueError: a family that is known has no environment of this name.
    """
    family, _, name = env_id.partition(":")
    return FAMILIES[family](name) if family in FAMILIES else None


def _ours(name: str) -> Environment:
    environments: dict[str, Callable[[], Environment]] = {"Pendulum-v1": Pendulum}
    if name not in environments:
        raise ValueError(
            f"unknown environment id 'jaxsac:{name}': there is "
            f"{', '.join(f'jaxsac:{known}' for known in environments)}."
        )
    return environments[name]()


FAMILIES: dict[str, Callable[[str], Environment]] = {"jaxsac": _ours}
