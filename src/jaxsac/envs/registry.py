"""Environments for the host by their id, as Gymnasium or a module of a user's own has them."""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
from gymnasium.envs.registration import parse_env_id

from jaxsac import named
from jaxsac.envs import envpool, refusals
from jaxsac.envs.checked import CheckedEnv, at
from jaxsac.envs.options import EnvOptions
from jaxsac.envs.walk import close_quietly

VERSION = re.compile(r"-v\d+$")
"""Of an id."""


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
