"""From the outputs of an ensemble of critics to one: how much to believe the higher ones.

A choice of `Config.target_pessimism` for the Bellman target, and of `Config.actor_pessimism` for
what the actor climbs.

Axes: B batch, E ensemble, N quantiles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxsac.sac.heads import Head

PessimismName = Literal["minimum", "mean", "random_subset", "truncated"]


class PessimismSettings(NamedTuple):
    """What choices need to know; `Config` explains each."""

    subset_size: int = 2
    dropped_quantiles: int = 2


Pessimism = Callable[[Head, jax.Array, jax.Array, PessimismSettings], jax.Array]
"""(head, output (E, B, *shape), key, settings) -> (B, *shape)."""


def minimum(
    head: Head, output: jax.Array, key: jax.Array, settings: PessimismSettings
) -> jax.Array:
    """min_i Q_i, against the overestimation that a maximizing actor finds (arXiv:1802.09477).

    Of distributions, for each transition that of the critic with the lowest mean.
    """
    del key, settings
    lowest = jnp.argmin(head.value(output), axis=0)
    # Not `jnp.min`, whose derivative asks which of the values equals the least and divides by how
    # many do: a compiler that computes them twice, and rounds otherwise, finds none, and 0/0.
    is_lowest = jnp.arange(len(output))[:, None] == lowest
    is_lowest = jnp.reshape(is_lowest, (*is_lowest.shape, *[1] * len(head.shape)))
    return jnp.sum(jnp.where(is_lowest, output, 0), axis=0)


def mean(head: Head, output: jax.Array, key: jax.Array, settings: PessimismSettings) -> jax.Array:
    """The mean of the ensemble, which the actors of REDQ and TQC climb (arXiv:2101.05982)."""
    del key, settings
    return head.mean(output)


def random_subset(
    head: Head, output: jax.Array, key: jax.Array, settings: PessimismSettings
) -> jax.Array:
    """The minimum of a few critics, drawn anew for each batch (REDQ, arXiv:2101.05982)."""
    drawn = jax.random.permutation(key, len(output))[: settings.subset_size]
    return minimum(head, output[drawn], key, settings)


def truncated(
    head: Head, output: jax.Array, key: jax.Array, settings: PessimismSettings
) -> jax.Array:
    """The quantiles of all critics in one sorted pool, without the highest (TQC, arXiv:2005.04269).

    As many as `dropped_quantiles` for each critic are left out: (B, E (N - dropped)).
    """
    del head, key
    num_critics, batch_size, size = output.shape
    pool = jnp.reshape(jnp.moveaxis(output, 0, 1), (batch_size, num_critics * size))
    return jnp.sort(pool)[:, : num_critics * (size - settings.dropped_quantiles)]


PESSIMISMS: dict[PessimismName, Pessimism] = {
    "minimum": minimum,
    "mean": mean,
    "random_subset": random_subset,
    "truncated": truncated,
}
