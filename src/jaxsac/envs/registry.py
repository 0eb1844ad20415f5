"""Environments by their id, on the host (Gymnasium) and in JAX (`family:Name`)."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterable

import gymnasium
from gymnasium.envs.registration import parse_env_id

from jaxsac.envs.checked import IN_ENVIRONMENT, CheckedEnv
from jaxsac.envs.device import Environment
from jaxsac.envs.pendulum import Pendulum


def make(
    env_id: str,
    num_envs: int,
    name: Callable[[int], str] = "copy {}".format,
    timeout: float = 0,
) -> list[CheckedEnv]:
    """Makes `num_envs` copies of an environment that is registered with Gymnasium.

    Args:
      env_id: a Gymnasium id, or `module:EnvId` to import the module that registers it.
      num_envs: number of copies.
      name: what to call a copy in an error, by its index.
      timeout: seconds that a reset or a step of a copy may take; 0 for no limit.

    Raises:
      ValueError: an id that is not registered, or a space that cannot be learned on.
      ModuleNotFoundError: the environment needs a package that is not installed; names the
        command that installs it.
      Exception: what the environment raises when it is made.
    """
    try:
        parse_env_id(env_id.partition(":")[2] or env_id)
    except gymnasium.error.Error as error:  # malformed
        raise _unknown(env_id, error) from error
    try:
        # Each by its id: Gymnasium makes none from the spec of one that a function wraps.
        envs = [gymnasium.make(env_id) for _ in range(num_envs)]
    except (gymnasium.error.UnregisteredEnv, gymnasium.error.DeprecatedEnv) as error:
        raise _unknown(env_id, error) from error
    except gymnasium.error.DependencyNotInstalled as error:
        remedy = (
            "for MuJoCo environments run `pip install 'jaxsac[envs]'`, for others "
            "`pip install 'gymnasium[all]'`"
        )
        raise _not_installed(env_id, error, remedy) from error
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"cannot import what {env_id!r} needs: {error}. In module:EnvId the module must be "
            "importable from here.",
            name=error.name,
        ) from error
    except Exception as error:
        error.add_note(f"{IN_ENVIRONMENT}making {env_id}.")
        raise
    return [CheckedEnv(env, f"{env_id}, {name(index)}", timeout) for index, env in enumerate(envs)]


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
        raise _not_installed(env_id, error, f"run `pip install 'jaxsac[{family}]'`") from error


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


def _playground(name: str) -> Environment:
    from jaxsac.envs import brax

    return brax.make_of_playground(name)


def _gymnax(name: str) -> Environment:
    from jaxsac.envs import gymnax

    return gymnax.make(name)


FAMILIES: dict[str, Callable[[str], Environment]] = {
    "jaxsac": _ours,
    "mjx": _mjx,
    "brax": _brax,
    "gymnax": _gymnax,
    "playground": _playground,
}


def _check_name(family: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise ValueError(
            f"unknown environment id '{family}:{name}': there is "
            f"{', '.join(f'{family}:{each}' for each in known)}."
        )


def _unknown(env_id: str, error: Exception) -> ValueError:
    return ValueError(
        f"unknown environment id {env_id!r}: {error} Ids look like HalfCheetah-v4, or "
        "module:EnvId for one that your own module registers."
    )


def _not_installed(env_id: str, error: Exception, remedy: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(
        f"{env_id} needs a package that is not installed ({error}): {remedy}.",
        name=getattr(error, "name", None),
    )


def redirect_mujoco_warnings() -> None:
    """Sends MuJoCo's warnings to Python's `warnings`.

    Left alone, MuJoCo writes them to a MUJOCO_LOG.TXT in the current folder.

    Process-wide, so it is called by runs and never on import. Without MuJoCo it does nothing.
    """
    try:
        import mujoco
    except ModuleNotFoundError:
        return

    def warn(message: str) -> None:
        # Said by mujoco 4 of Gymnasium's own half_cheetah.xml, once a copy; no user can act on it.
        if "settotalmass" not in message:
            warnings.warn(f"MuJoCo: {message}", RuntimeWarning, stacklevel=2)

    mujoco.set_mju_user_warning(warn)  # pyright: ignore[reportAttributeAccessIssue]
