"""What networks of a user's own have to be."""

from __future__ import annotations

import inspect
from typing import Any

import jax
import jax.numpy as jnp

from jaxsac.sac.apply import apply
from jaxsac.sac.networks import Networks
from jaxsac.sac.pessimism import random_subset
from jaxsac.sac.state import Trained
from jaxsac.types import PyTree, Spec

SWITCHES = ("training", "is_training", "deterministic", "use_running_average")
"""What others call the argument `train` of a network, or its opposite."""


def check_networks(
    networks: Networks,
    actor: Trained,
    critic: Trained,
    observation_spec: Spec,
    action_spec: Spec,
) -> None:
    """Refuses networks that are not trained as they are meant to be.

    Results of some other shapes would go unnoticed, broadcast against rewards.

    Raises:
      ValueError: names the network, what it returns or holds and what is expected.
    """
    action = action_spec.tree
    for name, module, trained in (
        ("actor", networks.actor, actor), ("critic", networks.critic, critic),
    ):  # fmt: skip
        _check_switch(name, module)
        _check_parameters(name, trained.params)
    for count in (1, 2):  # in one of them a batch axis differs from the ensemble's
        inputs = observation_spec.zeros(count), action_spec.zeros(count)
        found = jax.eval_shape(
            lambda observation: apply(networks.actor, actor.variables, observation), inputs[0]
        )
        _check_policy(found, count, action)
        found = jax.eval_shape(lambda *x: apply(networks.critic, critic.variables, *x), *inputs)
        _check_values(found, count, networks, action.dtype)


def _check_switch(name: str, module: Any) -> None:
    takes = inspect.signature(type(module).__call__).parameters
    if "train" not in takes and (other := next((x for x in SWITCHES if x in takes), None)):
        raise ValueError(
            f"the {name}'s __call__ has an argument {other!r}, which nobody sets: call it train, "
            "which is True in the loss that trains the network."
        )


def _check_parameters(name: str, params: PyTree) -> None:
    for path, leaf in jax.tree.leaves_with_path(params):
        if _has_fewer_bits(leaf, jnp.float32):
            raise ValueError(
                f"the {name} has parameters of {leaf.dtype} ({jax.tree_util.keystr(path)}), in "
                "which small steps are lost: leave param_dtype at float32, and give Linen's layers "
                "dtype= to compute in fewer bits."
            )


def _check_policy(found: Any, count: int, action: jax.ShapeDtypeStruct) -> None:
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(found)]
    expected = (count, *action.shape)
    if not isinstance(found, tuple) or shapes != 2 * [expected]:
        raise ValueError(
            f"the actor returns the shapes {shapes} for {count} observation(s): expected a "
            f"tuple of mean and log_std, each (batch, action size), {expected}."
        )
    _check_dtypes("actor", found, action.dtype)


def _check_values(found: Any, count: int, networks: Networks, dtype: Any) -> None:
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(found)]
    expected = (count, *networks.head.shape)
    (shape, *others) = shapes or [()]
    one = not others and hasattr(found, "shape")
    if not one or len(shape) != 1 + len(expected) or shape[1:] != expected:
        raise ValueError(
            f"the critic returns {shape if one else shapes} for {count} observation(s) and "
            "action(s): expected one array "
            f"(ensemble, batch{', outputs' * len(networks.head.shape)}), (..., "
            f"{', '.join(map(str, expected))}), as jnp.stack makes of several."
        )
    if networks.pessimism_settings.subset_size > shape[0] and random_subset in (
        networks.target_pessimism, networks.actor_pessimism,
    ):  # fmt: skip
        raise ValueError(
            f"subset_size {networks.pessimism_settings.subset_size} must be at most the "
            f"{shape[0]} critics of your own."
        )
    _check_dtypes("critic", found, dtype)


def _check_dtypes(name: str, found: Any, dtype: Any) -> None:
    """Losses and log-probabilities are computed in what the networks return."""
    for leaf in jax.tree.leaves(found):
        if _has_fewer_bits(leaf, dtype):
            raise ValueError(
                f"the {name} returns {leaf.dtype}, expected {dtype} as the action example: end "
                f"with .astype(jnp.{dtype}), whatever its layers compute in."
            )


def _has_fewer_bits(leaf: Any, dtype: Any) -> bool:
    return (
        jnp.issubdtype(leaf.dtype, jnp.floating)
        and jnp.finfo(leaf.dtype).bits < jnp.finfo(dtype).bits
    )
