"""From the outputs of an ensemble of critics to one: how much to believe the higher ones.

A choice of `Config.target_pessimism` for the Bellman target, and of `Config.actor_pessimism` for
what the actor climbs.

Axes: B batch, E ensemble.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from jaxsac.sac.heads import Head

PessimismName = Literal["minimum", "mean"]
Pessimism = Callable[[Head, jax.Array, jax.Array], jax.Array]
"""(head, output (E, B, *shape), key) -> (B, *shape)."""


def minimum(head: Head, output: jax.Array, key: jax.Array) -> jax.Array:
    """min_i Q_i, against the overestimation that a maximizing actor finds (arXiv:1802.09477)."""
    del head, key
    return jnp.min(output, axis=0)


def mean(head: Head, output: jax.Array, key: jax.Array) -> jax.Array:
    """The mean of the ensemble, which REDQ's actor climbs (arXiv:2101.05982)."""
    del head, key
    return jnp.mean(output, axis=0)


PESSIMISMS: dict[PessimismName, Pessimism] = {"minimum": minimum, "mean": mean}
