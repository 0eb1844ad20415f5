"""Settings of a run that change nothing beside its others, which a person is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxsac.sac import effects
from jaxsac.sac.effects import Use

if TYPE_CHECKING:
    from jaxsac.runs.settings.config import RunConfig

USES = effects.USES | {"reward_scale_bound": Use(("reward_scale",), ("return_bound",))}
ON_THE_HOST = ("env_timeout", "eval_envs")
"""Settings for environments that are stepped one by one."""
OF_ONES_OWN = {"actor_kwargs": "actor", "critic_kwargs": "critic"}
"""Settings for networks of a user's own."""


def why(name: str, config: RunConfig, on_device: bool = False) -> str:
    """Why a setting changes nothing in a run; empty where it does.

    Args:
      name: of the setting.
      config: of the run.
      on_device: whether its environment is one in JAX.
    """
    if on_device and name in ON_THE_HOST:
        return f"{config.env} steps on the device"
    if name in OF_ONES_OWN:
        what = OF_ONES_OWN[name]
        own = getattr(config, what) or getattr(config.agent, what)
        return "" if own else f"{what} is None, and it is for one of your own"
    return effects.why_idle(name, _values(config), USES)


def remarks(config: RunConfig, on_device: bool = False) -> list[str]:
    """A sentence for each setting that has been given a value and has no effect; as `why`."""
    values, defaults = _values(config), _values(type(config)(config.env))
    return [
        f"{name} {values[name]} has no effect: {reason}."
        for name in (*USES, *OF_ONES_OWN, *ON_THE_HOST)
        if values[name] != defaults[name] and (reason := why(name, config, on_device))
    ]


def _values(config: RunConfig) -> dict[str, Any]:
    return vars(config) | vars(config.agent) | vars(config.hyperparameters)
