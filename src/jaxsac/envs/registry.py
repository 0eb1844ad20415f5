"""Environments by their id, on the host (Gymnasium) and in JAX (`family:Name`)."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import io
import re
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
from gymnasium.envs.registration import parse_env_id

from jaxsac import named
from jaxsac.envs import envpool, refusals
from jaxsac.envs.checked import CheckedEnv, at
from jaxsac.envs.in_jax.device import Environment
from jaxsac.envs.in_jax.pendulum import Pendulum
from jaxsac.envs.options import EnvOptions
from jaxsac.envs.walk import close_quietly

VERSION = re.compile(r"-v\d+$")
"""Of an id."""
IN_JAX = tuple(name for name in vars(Environment) if not name.startswith("_"))
"""What an environment in JAX has."""


def make(
    env_id: str,
    num_envs: int,
    name: Callable[[int], str] = "copy {}".format,
    timeout: float = 0,
    options: EnvOptions | None = None,
    patience: float = 0,
) -> list[CheckedEnv]:
    """Makes `num_envs` copies of an environment for the host.

    Args:
      env_id: a Gymnasium id; `module:EnvId` to import the module that registers it;
        `module:function`, of a function that makes one; or `envpool:EnvId`.
      num_envs: number of copies.
      name: what to call a copy in an error, by its index.
      timeout: seconds that a reset or a step of a copy may take; 0 for no limit.
      options: how they are made; by the id alone by default.
      patience: seconds that making a copy may take; 0 for no limit.

    Raises:
      ValueError: an id that is not registered, options that it does not take, or a space that
        cannot be learned on.
      ModuleNotFoundError: the environment needs a package that is not installed; names the
        command that installs it.
      Exception: what the environment raises when it is made.
    """
    envs = []
    try:
        # Each by itself: Gymnasium makes none from the spec of one that a function wraps.
        for index in range(num_envs):
            envs.append(make_one(env_id, name(index), timeout, options, patience))
    except BaseException:
        close_quietly(envs)  # whoever asked for them does not get them
        raise
    return envs


def make_one(
    env_id: str,
    name: str,
    timeout: float = 0,
    options: EnvOptions | None = None,
    patience: float = 0,
) -> CheckedEnv:
    """Makes one copy, called `name` in an error; all else as for `make`."""
    options = options or EnvOptions()
    env = _made(env_id, options.function or _maker(env_id), options.kwargs, patience)
    try:
        with at(f"wrapping {env_id}", patience):
            for wrapped in options.layers(env, gymnasium.Env):
                env = wrapped
        return CheckedEnv(env, f"{env_id}, {name}", timeout)
    except BaseException:
        close_quietly([env])  # it may be the only one that can be open
        raise


def _maker(env_id: str) -> Callable[..., Any]:
    """What makes an environment of this id: Gymnasium, or the function that the id names."""
    if env_id.startswith(envpool.FAMILY):
        return envpool.maker(env_id)
    module, _, name = env_id.rpartition(":")
    if "/" in module or module.startswith(".") or module.endswith(".py"):
        raise ValueError(
            f"{env_id!r}: {module!r} is a file, expected a module as Python imports it, such as "
            "my_module:make for a function make in my_module.py."
        )
    try:
        parse_env_id(name)
        if module:
            importlib.import_module(module)
        if name not in gymnasium.registry:
            gymnasium.spec(name)
    except ModuleNotFoundError as error:
        raise refusals.no_module(env_id, error) from error
    except gymnasium.error.Error as error:
        if module:
            try:
                return named.find(env_id, "env")
            except ValueError as missing:
                if VERSION.search(name) is None:  # hardly an id
                    raise missing from error
        raise refusals.unknown(env_id, error) from error
    # Gymnasium's checker warns in several lines, or refuses, what `checked` and `examine` take.
    return functools.partial(gymnasium.make, env_id, disable_env_checker=True)


def _made(
    env_id: str, make: Callable[..., Any], kwargs: Mapping[str, Any], patience: float
) -> gymnasium.Env:
    """One environment; what goes wrong is said in words where there are better ones."""
    try:
        with at(f"making {env_id}", patience):
            env = make(**kwargs)
    except gymnasium.error.DependencyNotInstalled as error:
        remedy = (
            "for MuJoCo environments run `pip install 'jaxsac[envs]'`, for others "
            "`pip install 'gymnasium[all]'`"
        )
        raise refusals.not_installed(env_id, error, remedy) from error
    except gymnasium.error.DeprecatedEnv as error:
        raise refusals.unknown(env_id, error) from error
    except ModuleNotFoundError as error:
        raise refusals.no_module(env_id, error) from error
    except Exception as error:
        if (
            isinstance(error, ImportError)
            and (newest := refusals.newest_version(env_id)) is not None
        ):
            raise ValueError(
                f"{env_id} is not made any more ({str(error).rstrip('.')}): use {newest}."
            ) from error
        if (problem := refusals.of_arguments(env_id, kwargs, error)) is not None:
            raise problem from error
        raise
    if isinstance(env, gymnasium.vector.VectorEnv):
        close_quietly([env])
        raise ValueError(
            f"{env_id} makes several environments in one, {env!r}: make a single one, of which "
            "--num-envs makes copies."
        )
    if not isinstance(env, gymnasium.Env):
        raise ValueError(f"{env_id} makes {env!r}, expected an environment of Gymnasium.")
    return env


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
    try:
        # MJX says on standard output that it lacks Warp, which is asked for where it is installed.
        with contextlib.redirect_stdout(io.StringIO()):
            env = make(**options.kwargs)
    except ModuleNotFoundError as error:
        if family not in FAMILIES:
            raise refusals.no_module(env_id, error) from error
        extra = "warp" if error.name == "warp" else family
        raise refusals.not_installed(
            env_id, error, f"run `pip install 'jaxsac[{extra}]'`"
        ) from error
    except TypeError as error:
        if (problem := refusals.of_arguments(env_id, options.kwargs, error)) is not None:
            raise problem from error
        raise
    for wrapper in options.wrappers:
        found: Any = named.find(wrapper, "wrapper") if isinstance(wrapper, str) else wrapper
        if inspect.isclass(found) and issubclass(found, gymnasium.Wrapper):
            raise ValueError(
                f"wrapper {wrapper!r} is one of Gymnasium's environments, and {env_id} is one in "
                "JAX: give one that takes and returns such an environment (docs/environments.md)."
            )
    nested = [env, *options.layers(env)]
    for layer in nested:
        if lacking := [name for name in IN_JAX if not hasattr(layer, name)]:
            raise ValueError(
                f"{env_id} makes {layer!r}, which is no gymnasium.Env, and for an environment in "
                f"JAX it lacks {', '.join(lacking)}: derive the class from gymnasium.Env, or give "
                "it those (docs/environments.md)."
            )
    return nested[-1]


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
