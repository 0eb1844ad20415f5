"""Gymnasium environments by their id."""

from __future__ import annotations

import warnings

import gymnasium
from gymnasium.vector import AutoresetMode, VectorEnv


def make(env_id: str, num_envs: int) -> VectorEnv:
    """Makes `num_envs` copies of a registered environment, stepped in turn, without autoreset.

    Args:
      env_id: a Gymnasium id, or `module:EnvId` to import the module that registers it.
      num_envs: number of copies.

    Raises:
      ValueError: an id that is not registered.
      ModuleNotFoundError: the environment needs a package that is not installed; names the
        command that installs it.
    """
    try:
        return gymnasium.make_vec(
            env_id,
            num_envs=num_envs,
            vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": AutoresetMode.DISABLED},
        )
    except (gymnasium.error.UnregisteredEnv, gymnasium.error.DeprecatedEnv) as error:
        raise ValueError(
            f"unknown environment id {env_id!r}: {error} Ids look like HalfCheetah-v4, or "
            "module:EnvId for one that your own module registers."
        ) from error
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
