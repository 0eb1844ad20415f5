"""Environments in JAX by their id, `family:Name`."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable

from jaxsac.envs.device import Environment
from jaxsac.envs.pendulum import Pendulum


def make_in_jax(env_id: str) -> Environment | None:
    """The environment in JAX that an id names, or None if it names one for the host.

    Args:
      env_id: `jaxsac:Pendulum-v1`, say, or `mjx:HalfCheetah-v4`.

    Raises:
      ValueError: a family that is known has no environment of this name.
      ModuleNotFoundError: the family needs a package that is not installed; names the command
        that installs it.
    """
    family, _, name = env_id.partition(":")
    if family not in FAMILIES:
        return None
    try:
        # MJX says on standard output that it lacks Warp, which nothing here asks it for.
        with contextlib.redirect_stdout(io.StringIO()):
            return FAMILIES[family](name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{env_id} needs a package that is not installed ({error}): run "
            f"`pip install 'jaxsac[{family}]'`.",
            name=error.name,
        ) from error


def _ours(name: str) -> Environment:
    environments: dict[str, Callable[[], Environment]] = {"Pendulum-v1": Pendulum}
    _check_name("jaxsac", name, environments)
    return environments[name]()


def _mjx(name: str) -> Environment:
    from jaxsac.envs.mjx import TASKS, Robot

    _check_name("mjx", name, TASKS)
    return Robot(name)


def _brax(name: str) -> Environment:
    from jaxsac.envs import brax

    return brax.make(name)


def _gymnax(name: str) -> Environment:
    from jaxsac.envs import gymnax

    return gymnax.make(name)


def _playground(name: str) -> Environment:
    from jaxsac.envs import playground

    return playground.make(name)


def _check_name(family: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise ValueError(
            f"unknown environment id '{family}:{name}': there is "
            f"{', '.join(f'{family}:{each}' for each in known)}."
        )


FAMILIES: dict[str, Callable[[str], Environment]] = {
    "jaxsac": _ours,
    "mjx": _mjx,
    "brax": _brax,
    "gymnax": _gymnax,
    "playground": _playground,
}
