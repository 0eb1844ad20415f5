"""What the public functions refuse: shapes while tracing, values where they are known."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsac.sac.config import Config, Hyperparameters, Scalar
from jaxsac.sac.effects import why_idle
from jaxsac.sac.encoders import is_image
from jaxsac.sac.state import State
from jaxsac.types import Spec, Transition, is_traced, transition_of

OF_A_CHOICE = (
    "adam_b1", "adam_b2", "adam_eps", "weight_decay", "max_gradient_norm", "final_lr_scale",
    "schedule_updates",
)  # fmt: skip
"""Hyperparameters that are refused where the choice that they belong to has not been made."""


def check_state(state: State) -> None:
    """Refuses what is not one agent.

    Raises:
      TypeError: names what it is.
      ValueError: it holds several agents.
    """
    if not isinstance(state, State):
        raise TypeError(
            f"state must be a jaxsac.State, as `jaxsac.init` and `jaxsac.update` return it, got "
            f"{type(state).__name__}."
            + (" A loaded policy is called itself: policy(observation, key)." * callable(state))
        )
    if axes := jnp.shape(0 if state.step is None else state.step):  # None in `state.acting`
        raise ValueError(
            f"state holds several agents, with leading axes {axes}: vmap over them, as in "
            "jax.vmap(jaxsac.update)(state, batch, keys)."
        )


def check_learner(state: State) -> None:
    """Refuses what is no agent, and one that can only act.

    Raises:
      TypeError: names what it is.
      ValueError: there are no critics in it, or a hyperparameter is not one number.
    """
    check_state(state)
    if state.critic is None:
        raise ValueError("this is `state.acting`, which has no critics: give the whole state.")
    for name, value in vars(state.hyperparameters).items():
        if value is None or jnp.shape(value):
            what = "None" if value is None else f"an array of shape {jnp.shape(value)}"
            raise ValueError(
                f"hyperparameters.{name} must be one number, got {what}. A state for each of "
                "several values is made by jax.vmap over jaxsac.init."
            )


def check_settings(config: Config, hyperparameters: Hyperparameters) -> None:
    """Refuses settings that are something else, such as the one in place of the other.

    Raises:
      TypeError: names the argument or hyperparameter, and what it is.
    """
    for name, value, kind in (
        ("config", config, Config), ("hyperparameters", hyperparameters, Hyperparameters),
    ):  # fmt: skip
        if not isinstance(value, kind):
            raise TypeError(f"{name} must be a jaxsac.{kind.__name__}, got {value!r}.")
    for name, value in vars(hyperparameters).items():
        default = value is None and name == "target_entropy"
        if not (default or _is_number(value)):
            raise TypeError(
                f"{name} must be one number, got {value!r}: jax.vmap makes agents of several."
            )


def check_images(config: Config, observation_spec: Spec) -> None:
    """Refuses settings for images that do nothing, or that nothing could train.

    Raises:
      ValueError: names the setting and a remedy.
    """
    images = any(map(is_image, observation_spec.leaves))
    if config.random_shift and not images:
        raise ValueError(
            f"random_shift {config.random_shift} moves images, bytes of (H, W, C), and the "
            "observation has none: set it to 0."
        )
    if images and config.encoder == "auto" and config.critic is not None and config.actor is None:
        raise ValueError(
            "the default actor reads images by the encoder of the default critics, and these are "
            "your own: give an actor too, or set encoder to 'flat'."
        )


def check_batch_shapes(
    state: State, batch: Transition, weight: Any = None, actor_due: Any = None
) -> None:
    """Refuses a batch that does not fit the examples given to `init`.

    Args:
      state: the agent.
      batch: transitions (B, ...).
      weight: of each transition, (B,), or None.
      actor_due: bool (), or None.

    Raises:
      TypeError: `state` is no agent, or `batch` no transition.
      ValueError: another structure, shape, rank or dtype; names the leaf.
    """
    check_learner(state)
    if not isinstance(batch, Transition):
        raise TypeError(f"batch must be a jaxsac.Transition, got {type(batch).__name__}.")
    spec = Spec.of(transition_of(state.observation_spec.tree, state.action_spec.tree))
    batch_shape = spec.batch_shape("batch", batch)
    if len(batch_shape) != 1 or batch_shape[0] < 1:
        raise ValueError(
            f"batch needs exactly one leading axis of at least one transition, got the leading "
            f"axes {batch_shape}: use jax.vmap for more axes."
        )
    if weight is not None and not _is_array(weight, jnp.floating, jnp.integer, jnp.bool):
        raise ValueError(f"weight must be an array of numbers, got {weight!r}.")
    if weight is not None and jnp.shape(weight) != batch_shape:
        raise ValueError(
            f"weight has shape {jnp.shape(weight)}, expected one number for each transition, "
            f"{batch_shape}."
        )
    if actor_due is not None and (not _is_array(actor_due, jnp.bool) or jnp.ndim(actor_due)):
        raise ValueError(f"actor_due must be one bool for the whole batch, got {actor_due!r}.")


def check_examples(observation_spec: Spec, action_spec: Spec) -> None:
    """Refuses an observation of nothing, and an action that is not one floating vector.

    Raises:
      ValueError: names what it is.
    """
    if not any(leaf.size for leaf in observation_spec.leaves):
        raise ValueError(
            f"the observation example {observation_spec.tree} has not one number, so there is "
            "nothing to learn from."
        )
    for leaf in observation_spec.leaves:
        if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
            raise ValueError(
                f"the observation example is {leaf.dtype}: give real and imaginary parts as two "
                "arrays."
            )
    action = action_spec.tree
    if (
        not isinstance(action, jax.ShapeDtypeStruct)
        or len(action.shape) != 1
        or action.shape[0] < 1
    ):
        raise ValueError(f"the action example must be one vector (A,), got {action}.")
    if not jnp.issubdtype(action.dtype, jnp.floating):
        raise ValueError(
            f"the action example must be floating, got {action.dtype}: jaxsac is for continuous "
            "actions."
        )
    if jnp.finfo(action.dtype).bits < 32:
        raise ValueError(
            f"the action example is {action.dtype}, and an agent's numbers have its dtype: they "
            "need 32 bits, or small steps are lost in rounding (τ, learning rates, γ near 1). Give "
            "float32; networks of your own may compute in fewer bits (dtype= of Linen's layers), "
            "and return float32."
        )


def check_hyperparameters(
    values: Hyperparameters, action_size: int | None = None, config: Config | None = None
) -> None:
    """Refuses values that no update can work with, and those that would have no effect.

    Traced values pass, and so does a target entropy of None (the default is to be used).

    Args:
      values: floats or arrays.
      action_size: A, for the highest target entropy; unknown when None.
      config: says which of them have an effect; unknown when None.

    Raises:
      ValueError: names the value and its range.
    """
    smallest, largest = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
    below_one = float(np.nextafter(np.float32(1), np.float32(0)))
    for name, low, high in (
        ("actor_lr", 0.0, largest),
        ("critic_lr", 0.0, largest),
        ("alpha_lr", 0.0, largest),
        ("gamma", 0.0, 1.0),
        ("tau", 0.0, 1.0),
        ("initial_alpha", smallest, largest),
        ("adam_b1", 0.0, below_one),
        ("adam_b2", 0.0, below_one),
        ("adam_eps", smallest, largest),
        ("weight_decay", 0.0, largest),
        ("max_gradient_norm", smallest, largest),
        ("final_lr_scale", 0.0, largest),
        ("schedule_updates", 1.0, largest),
    ):
        value = getattr(values, name)
        if not is_traced(value) and not _within(value, low, high):
            raise ValueError(f"{name} must be between {low:.3g} and {high:.3g}, got {value}.")
    if config is not None:
        _check_effects(values, config)
    target = values.target_entropy
    if target is None or is_traced(target):
        return
    if not np.all(np.isfinite(target)):
        raise ValueError(f"target_entropy must be finite, got {target}.")
    highest = math.inf if action_size is None else action_size * math.log(2)
    if not _within(target, -math.inf, highest):
        raise ValueError(
            f"target_entropy {target} cannot be reached: no policy on [-1, 1]^{action_size} has "
            f"more than {action_size}·log 2 = {highest:.3f} nats, so the temperature would grow "
            "for ever. The usual choice is minus the action dimension."
        )


def _check_effects(values: Hyperparameters, config: Config) -> None:
    default, settings = Hyperparameters(), vars(config) | vars(values)
    for name in OF_A_CHOICE:
        value = getattr(values, name)
        if is_traced(value) or np.all(np.asarray(value) == getattr(default, name)):
            continue
        if why := why_idle(name, settings):
            raise ValueError(f"{name} {value} has no effect: {why}.")


def _is_array(value: Any, *kinds: Any) -> bool:
    """Whether a value is an array or a number of one of the kinds, such as `jnp.floating`."""
    if isinstance(value, bool | int | float):
        value = np.asarray(value)
    dtype = getattr(value, "dtype", None)
    return dtype is not None and any(jnp.issubdtype(dtype, kind) for kind in kinds)


def _is_number(value: Any) -> bool:
    if isinstance(value, int | float):
        return not isinstance(value, bool)
    dtype = getattr(value, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, np.number) and jnp.shape(value) == ()


def _within(value: Scalar, low: float, high: float) -> bool:
    """Whether all of `value` lies in [low, high]; NaN does not."""
    return bool(np.all((np.asarray(value) >= low) & (np.asarray(value) <= high)))
