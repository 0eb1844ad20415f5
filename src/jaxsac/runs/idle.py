"""Settings of a run that change nothing beside its others, which a person is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxsac.sac import effects
from jaxsac.sac.effects import Use

if TYPE_CHECKING:
    from jaxsac.runs.config import RunConfig

USES = effects.USES | {"reward_scale_bound": Use(("reward_scale",), ("return_bound",))}


def why(name: str, config: RunConfig) -> str:
    """Why a setting changes nothing in a run; empty where it does."""
    return effects.why_idle(name, _values(config), USES)


def remarks(config: RunConfig) -> list[str]:
    """A sentence for each setting that has been given a value and has no effect."""
    values, defaults = _values(config), _values(type(config)(config.env))
    return [
        f"{name} {values[name]} has no effect: {reason}."
        for name in USES
        if values[name] != defaults[name] and (reason := why(name, config))
    ]


def _values(config: RunConfig) -> dict[str, Any]:
    return vars(config) | vars(config.agent) | vars(config.hyperparameters)
