"""Why an environment cannot be made, in words that say what to do."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from typing import Any

import gymnasium
from gymnasium.envs import registration

MAKERS = ("jaxsac.envs.registry", "jaxsac.envs.in_jax.families", registration.__name__)
"""The modules whose calls make environments."""


def of_arguments(env_id: str, kwargs: Mapping[str, Any], error: Exception) -> ValueError | None:
    """The error of arguments that do not fit, or lack; None where it is another one."""
    if _are_not_taken(kwargs, error):
        text = f"does not take the env_kwargs {dict(kwargs)}: {error.__cause__ or error}."
    elif _lacks_arguments(error):
        text = (
            f"cannot be made without arguments ({error.__cause__ or error}): give them as "
            "--env-kwargs '{\"name\": value}', or env_kwargs from Python."
        )
    else:
        return None
    return ValueError(f"{env_id} {text}")


def unknown(env_id: str, error: Exception) -> ValueError:
    """The error of an id that is not registered."""
    return ValueError(
        f"unknown environment id {env_id!r}: {str(error).rstrip('.')}. Ids look like "
        "HalfCheetah-v4, or module:EnvId for one that your own module registers."
    )


def check_name(family: str, name: str, known: Iterable[str]) -> None:
    """Refuses a name that a family, such as "mjx:", does not have."""
    if name not in known:
        there = ", ".join(f"{family}{each}" for each in known)
        raise ValueError(f"unknown environment id '{family}{name}': there is {there}.")


def no_module(env_id: str, error: ModuleNotFoundError) -> ModuleNotFoundError:
    """The error of a module that is not found: the one that the id names, or one that it needs."""
    own = error.name and f"{env_id.rpartition(':')[0]}.".startswith(f"{error.name}.")
    importable = "In module:EnvId the module must be installed, or importable from here."
    remedy = importable if own else "Install it."
    return ModuleNotFoundError(
        f"cannot import what {env_id!r} needs: {error}. {remedy}", name=error.name
    )


def not_installed(env_id: str, error: Exception, remedy: str) -> ModuleNotFoundError:
    """The error of a package that a known family lacks; the remedy is a command."""
    return ModuleNotFoundError(
        f"{env_id} needs a package that is not installed ({error}): {remedy}.",
        name=getattr(error, "name", None),
    )


def newest_version(env_id: str) -> str | None:
    """The newest version of an environment of Gymnasium's; None if it is what is asked for."""
    spec = gymnasium.registry.get(env_id)
    if spec is None:
        return None
    entry = spec.entry_point
    module = entry if isinstance(entry, str) else getattr(entry, "__module__", "")
    if not module.startswith("gymnasium."):
        return None
    namespace, name, version = spec.namespace, spec.name, spec.version
    versions = {
        spec.version: each
        for each, spec in gymnasium.registry.items()
        if (spec.namespace, spec.name) == (namespace, name) and spec.version is not None
    }
    newest = max(versions, default=None)
    return None if version is None or newest in (None, version) else versions[newest]


def _are_not_taken(kwargs: Mapping[str, Any], error: Exception) -> bool:
    """Whether arguments do not fit the call, or what it passes them on to by their names."""
    if not (isinstance(error, TypeError) and kwargs and "argument" in str(error)):
        return False
    return _is_of_the_call(error) or any(f"argument '{name}'" in str(error) for name in kwargs)


def _lacks_arguments(error: Exception) -> bool:
    """Whether the call of what makes an environment, and none within it, lacks arguments."""
    return isinstance(error, TypeError) and "required" in str(error) and _is_of_the_call(error)


def _is_of_the_call(error: Exception) -> bool:
    """Whether an error comes from the call of what makes an environment, and not from within."""
    frames = list(traceback.walk_tb((error.__cause__ or error).__traceback__))
    # A cause that was never raised has none.
    return bool(frames) and frames[-1][0].f_globals.get("__name__") in MAKERS
