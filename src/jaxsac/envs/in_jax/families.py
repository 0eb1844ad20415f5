"""Environments in JAX by their id, `family:Name`, or by the class of a user's own."""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium

from jaxsac import named
from jaxsac.envs import refusals
from jaxsac.envs.in_jax.device import Environment
from jaxsac.envs.in_jax.pendulum import Pendulum
from jaxsac.envs.options import EnvOptions

IN_JAX = tuple(name for name in vars(Environment) if not name.startswith("_"))
"""What an environment in JAX has."""


def make_in_jax(env_id: str, options: EnvOptions | None = None) -> Environment | None:
    """The environment in JAX that an id names, or None if it names one for the host.

    Args:
      env_id: `jaxsac:Pendulum-v1`, say, or `mjx:HalfCheetah-v4`.
      options: how it is made; by the id alone by default.

    Raises:
      ValueError: a family that is known has no environment of this name, or it does not take the
        options.
      ModuleNotFoundError: the family needs a package that is not installed; names the command
        that installs it.
    """
    options = options or EnvOptions()
    family, _, name = env_id.partition(":")
    if options.function is None and family in FAMILIES:
        make: Callable[..., Any] = functools.partial(FAMILIES[family], name)
    elif (own := _class_in_jax(env_id, options.function)) is not None:
        make = own
    else:
        return None
    env = _made(env_id, family, make, options.kwargs)
    _refuse_wrappers_of_gymnasium(env_id, options)
    layers = [env, *options.layers(env)]
    for layer in layers:
        if lacking := [name for name in IN_JAX if not hasattr(layer, name)]:
            raise ValueError(
                f"{env_id} makes {layer!r}, which is no gymnasium.Env, and for an environment in "
                f"JAX it lacks {', '.join(lacking)}: derive the class from gymnasium.Env, or give "
                "it those (docs/environments.md)."
            )
    return layers[-1]


def _made(
    env_id: str, family: str, make: Callable[..., Any], kwargs: Mapping[str, Any]
) -> Environment:
    """One environment; what goes wrong is said in words where there are better ones."""
    try:
        # MJX says on standard output that it lacks Warp, which is asked for where it is installed.
        with contextlib.redirect_stdout(io.StringIO()):
            return make(**kwargs)
    except ModuleNotFoundError as error:
        if family not in FAMILIES:
            raise refusals.no_module(env_id, error) from error
        extra = "warp" if error.name == "warp" else family
        raise refusals.not_installed(
            env_id, error, f"run `pip install 'jaxsac[{extra}]'`"
        ) from error
    except TypeError as error:
        if (problem := refusals.of_arguments(env_id, kwargs, error)) is not None:
            raise problem from error
        raise


def _refuse_wrappers_of_gymnasium(env_id: str, options: EnvOptions) -> None:
    for wrapper in options.wrappers:
        found: Any = named.find(wrapper, "wrapper") if isinstance(wrapper, str) else wrapper
        if inspect.isclass(found) and issubclass(found, gymnasium.Wrapper):
            raise ValueError(
                f"wrapper {wrapper!r} is one of Gymnasium's environments, and {env_id} is one in "
                "JAX: give one that takes and returns such an environment (docs/environments.md)."
            )


def _class_in_jax(env_id: str, function: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """The class of a user's own environment in JAX; None where it is anything else."""
    found: Any = function
    if function is None and ":" in env_id:
        # What cannot be found or imported is told of as an environment for the host.
        with contextlib.suppress(Exception):
            found = named.find(env_id, "env")
    own = inspect.isclass(found) and not issubclass(found, gymnasium.Env)
    return found if own and env_id.rpartition(":")[2] not in gymnasium.registry else None


def _ours(name: str, **kwargs: Any) -> Environment:
    environments: dict[str, Callable[..., Environment]] = {"Pendulum-v1": Pendulum}
    refusals.check_name("jaxsac:", name, environments)
    return environments[name](**kwargs)


def _mjx(name: str, **kwargs: Any) -> Environment:
    from jaxsac.envs.in_jax.mjx import TASKS, Robot

    refusals.check_name("mjx:", name, TASKS)
    return Robot(name, **kwargs)


def _brax(name: str, **kwargs: Any) -> Environment:
    from jaxsac.envs.in_jax import brax

    return brax.make(name, **kwargs)


def _playground(name: str, **kwargs: Any) -> Environment:
    from jaxsac.envs.in_jax import brax

    return brax.make_of_playground(name, **kwargs)


def _gymnax(name: str, **kwargs: Any) -> Environment:
    from jaxsac.envs.in_jax import gymnax

    return gymnax.make(name, **kwargs)


FAMILIES: dict[str, Callable[..., Environment]] = {
    "jaxsac": _ours,
    "mjx": _mjx,
    "brax": _brax,
    "gymnax": _gymnax,
    "playground": _playground,
}
