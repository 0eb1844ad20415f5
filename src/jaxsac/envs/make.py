"""Gymnasium environments by their id."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import gymnasium
from gymnasium.envs.registration import parse_env_id
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from jaxsac.envs.watch import IN_ENVIRONMENT, Watched


def make(
    env_id: str,
    num_envs: int,
    name: Callable[[int], str] = "copy {}".format,
    timeout: float = 0,
) -> VectorEnv:
    """Makes `num_envs` copies of a registered environment, stepped in turn, without autoreset.

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
        raise ModuleNotFoundError(
            f"{env_id} needs a package that is not installed ({error}): for MuJoCo environments "
            "run `pip install 'jaxsac[envs]'`, for others `pip install 'gymnasium[all]'`."
        ) from error
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"cannot import what {env_id!r} needs: {error}. In module:EnvId the module must be "
            "importable from here.",
            name=error.name,
        ) from error
    except Exception as error:
        error.add_note(f"{IN_ENVIRONMENT}making {env_id}.")
        raise

    def copy(index: int, env: gymnasium.Env) -> Callable[[], gymnasium.Env]:
        return lambda: Watched(env, f"{env_id}, {name(index)}", timeout)

    copies = [copy(index, env) for index, env in enumerate(envs)]
    return SyncVectorEnv(copies, autoreset_mode=AutoresetMode.DISABLED)


def _unknown(env_id: str, error: Exception) -> ValueError:
    return ValueError(
        f"unknown environment id {env_id!r}: {error} Ids look like HalfCheetah-v4, or "
        "module:EnvId for one that your own module registers."
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
