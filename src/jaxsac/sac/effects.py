"""Settings that others leave without effect, such as a weight decay where Adam has none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from jaxsac.sac.config import Config, Hyperparameters
from jaxsac.sac.normalization import BATCH_NORMALIZATIONS


class Use(NamedTuple):
    """A setting has an effect where one of others has one of these values."""

    settings: tuple[str, ...]
    values: tuple[Any, ...]


NORMALIZATION_SETTINGS = ("actor_normalization", "critic_normalization")
PESSIMISM_SETTINGS = ("target_pessimism", "actor_pessimism")
USES = {
    "batch_norm_momentum": Use(NORMALIZATION_SETTINGS, BATCH_NORMALIZATIONS),
    "batch_norm_epsilon": Use(NORMALIZATION_SETTINGS, BATCH_NORMALIZATIONS),
    "renorm_warmup": Use(NORMALIZATION_SETTINGS, ("batch_renorm",)),
    "num_quantiles": Use(("head",), ("quantile",)),
    "num_atoms": Use(("head",), ("categorical",)),
    "value_bound": Use(("head",), ("categorical",)),
    "subset_size": Use(PESSIMISM_SETTINGS, ("random_subset",)),
    "dropped_quantiles": Use(PESSIMISM_SETTINGS, ("truncated",)),
    "log_std_max": Use(("log_std_map",), ("clip", "tanh")),
    "target_entropy_scale": Use(("target_entropy",), (None,)),
    "tau": Use(("forward",), ("apart", "joint_with_targets")),
    "adam_b1": Use(("optimizer",), ("adamw",)),
    "adam_b2": Use(("optimizer",), ("adamw",)),
    "adam_eps": Use(("optimizer",), ("adamw",)),
    "weight_decay": Use(("optimizer",), ("adamw",)),
    "max_gradient_norm": Use(("clip_gradients",), (True,)),
    "final_lr_scale": Use(("lr_schedule",), ("linear", "cosine")),
    "schedule_updates": Use(("lr_schedule",), ("linear", "cosine")),
}
"""What settings are for that not every agent uses."""


def why_idle(name: str, values: Mapping[str, Any], uses: Mapping[str, Use] = USES) -> str:
    """Why a setting changes nothing; empty where it does.

    Args:
      name: of the setting.
      values: of all settings, by name.
      uses: what settings are for.
    """
    if name not in uses:
        return ""
    settings, wanted = uses[name]
    found = {setting: _value(setting, values) for setting in settings}
    if any(value in wanted for value in found.values()):
        return ""
    others = " and ".join(f"{setting} is {value!r}" for setting, value in found.items())
    return f"{others}, and it is for {' or '.join(map(repr, wanted))}"


def without_idle(
    hyperparameters: Hyperparameters, config: Config, keep: Collection[str] = ()
) -> Hyperparameters:
    """Hyperparameters with the defaults of those that change nothing beside a config.

    Args:
      hyperparameters: such as those of a preset.
      config: such as that of the preset with other choices.
      keep: names that are left as they are.
    """
    values = vars(config) | vars(hyperparameters)
    idle = [n for n in vars(hyperparameters) if n not in keep and why_idle(n, values)]
    default = Hyperparameters()
    return hyperparameters.replace(**{name: getattr(default, name) for name in idle})


def _value(setting: str, values: Mapping[str, Any]) -> Any:
    own = values[setting]
    return values["normalization"] if own is None and setting in NORMALIZATION_SETTINGS else own
