"""What a `Config` may be: names of choices, ranges of numbers, and what does not go together."""

from __future__ import annotations

import functools
import math
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
from flax import linen as nn

from jaxsac.types import is_whole

ActorGradientName = Literal["total", "path", "score"]
LogStdMapName = Literal["clip", "tanh", "softplus"]
AlphaLossName = Literal["log_alpha", "alpha"]
OrderName = Literal["critics_first", "actor_first"]
OptimizerName = Literal["adam", "adamw"]
ScheduleName = Literal["constant", "linear", "cosine"]
AT_LEAST = {
    "num_critics": 1,
    "actor_every": 1,
    "actor_samples": 1,
    "num_quantiles": 1,
    "num_atoms": 2,
    "subset_size": 1,
    "dropped_quantiles": 0,
    "renorm_warmup": 0,
    "random_shift": 0,
}
"""The lowest values of whole numbers in a `Config`."""
RANGES = {
    "log_prob_epsilon": (0, 1),
    "critic_dropout_rate": (0, 1),
    "batch_norm_momentum": (0, 1),
    "batch_norm_epsilon": (0, 1),
    "value_bound": (1e-6, math.inf),
}
"""Where other numbers in a `Config` lie."""
FLAG = (False, True)
NUMBER = (int, float, np.integer, np.floating)


@functools.cache
def choices(kind: type) -> dict[str, tuple[Any, ...]]:
    """What each setting that is a choice may be, as its annotation in `kind` says."""
    found = {name: _values(hint) for name, hint in get_type_hints(kind).items()}
    return {name: values for name, values in found.items() if values}


def _values(hint: Any) -> tuple[Any, ...]:
    """Of a bool, or of a Literal, and None where that may be instead."""
    if hint is bool:
        return FLAG
    if get_origin(hint) is Literal:
        return get_args(hint)
    parts = get_args(hint)
    literals = [part for part in parts if get_origin(part) is Literal]
    return (*get_args(literals[0]), None) if literals else ()


def check(config: Any) -> None:
    """Refuses a `Config` that cannot be.

    Raises:
      ValueError: names the setting, its value, and what it may be.
    """
    for name in ("hidden_sizes", "actor_hidden_sizes", "critic_hidden_sizes"):
        sizes = getattr(config, name)
        if sizes is None and name != "hidden_sizes":
            continue
        found = sizes if isinstance(sizes, tuple) else ()
        if not found or not all(is_whole(n) and n > 0 for n in found):
            raise ValueError(f"{name} must be positive integers, as (256, 256), got {sizes!r}.")
    for name, values in choices(type(config)).items():
        value = getattr(config, name)
        if value not in values or (values == FLAG and not isinstance(value, bool)):  # 1 == True
            may_be = "True or False" if values == FLAG else f"one of {values}"
            raise ValueError(f"{name} must be {may_be}, got {value!r}.")
    for name, least in AT_LEAST.items():
        value = getattr(config, name)
        if not is_whole(value) or value < least:
            raise ValueError(f"{name} must be at least {least}, a whole number, got {value!r}.")
    for name in (*RANGES, "log_std_min", "log_std_max", "target_entropy_scale"):
        value = getattr(config, name)
        if not isinstance(value, NUMBER) or not math.isfinite(value):
            raise ValueError(f"{name} must be a number, got {value!r}.")
    for name, (low, high) in RANGES.items():
        if not low <= getattr(config, name) < high:
            raise ValueError(f"{name} must be in [{low}, {high}), got {getattr(config, name)}.")
    if not config.log_std_min < config.log_std_max:
        raise ValueError(
            f"log_std_min {config.log_std_min} is not below log_std_max {config.log_std_max}."
        )
    for name in ("actor", "critic"):
        _check_module(name, getattr(config, name))
    _check_networks(config)
    _check_heads(config)


def _check_module(name: str, network: Any) -> None:
    if network is None:
        return
    if not isinstance(network, nn.Module):
        kind = network if isinstance(network, type) else type(network)
        if any(base.__module__.startswith("flax.nnx") for base in kind.__mro__):
            raise ValueError(
                f"{name} must be a Linen module, and {kind.__name__} is one of NNX: give "
                f"flax.nnx.bridge.to_linen({kind.__name__})."
            )
        what = f"the class {network.__name__}" if isinstance(network, type) else repr(network)
        raise ValueError(
            f"{name} must be a Linen module, made with its fields, as {name}=MyNetwork(), got "
            f"{what}."
        )
    try:
        hash(network)
    except TypeError as error:
        raise ValueError(
            f"{name} has a field that cannot be hashed ({error}): give a tuple in place of a list."
        ) from None


def _check_networks(config: Any) -> None:
    settings = (config.actor_settings, config.critic_settings)
    for network in settings:
        if network.body != "mlp" and len(set(network.hidden_sizes)) > 1:
            raise ValueError(
                f"the hidden_sizes of a {network.body} body are its blocks and must be alike, got "
                f"{network.hidden_sizes}."
            )
    if config.normalize_inputs and {network.normalization for network in settings} == {"none"}:
        raise ValueError(
            "normalize_inputs has no effect without a normalization: choose one, such as 'batch'."
        )


def _check_heads(config: Any) -> None:
    if config.value_network and config.forward != "apart":
        raise ValueError(
            f"forward {config.forward!r}: with a value network the critics are not asked about the "
            "next state."
        )
    if config.value_network and config.head != "scalar":
        raise ValueError(
            f"head {config.head!r}: a value network gives the critics one number to learn from, "
            "which is for the scalar head."
        )
    pessimisms = (config.target_pessimism, config.actor_pessimism)
    if "truncated" in pessimisms and config.head != "quantile":
        raise ValueError(
            f"pessimism 'truncated' drops quantiles: choose head 'quantile', not {config.head!r}."
        )
    if "truncated" in pessimisms and config.dropped_quantiles >= config.num_quantiles:
        raise ValueError(
            f"dropped_quantiles {config.dropped_quantiles} must be below num_quantiles "
            f"{config.num_quantiles}."
        )
    own = config.critic is not None  # of as many as it says
    if "random_subset" in pessimisms and config.subset_size > config.num_critics and not own:
        raise ValueError(
            f"subset_size {config.subset_size} must be at most num_critics {config.num_critics}."
        )
