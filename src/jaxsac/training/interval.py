"""Means of the metrics over the updates of an interval, between two rows of a run's metrics."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsac.sac.policy import METRICS as OF_ACTOR
from jaxsac.sac.state import Metrics
from jaxsac.types import PyTree


class Interval(NamedTuple):
    """Means over the updates since the interval began."""

    mean: Metrics
    """Of floats; of whole numbers, such as counters, the latest."""
    updates: jax.Array
    """Number of updates in the mean, int32; those that were not finite are not in it."""
    actor_updates: jax.Array
    """Those of them in which the actor took its step, int32: its metrics are means over these."""


def init(metrics: PyTree) -> Interval:
    """Of no update.

    Args:
      metrics: structs of the metrics of one update.
    """
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), metrics)
    return Interval(zeros, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))


def add(interval: Interval, metrics: Metrics, finite: jax.Array) -> Interval:
    """With one update more: m ← m + (x − m) / n, which does not lose digits as a sum does.

    Args:
      interval: until then.
      metrics: of the update.
      finite: whether it counts, bool scalar.
    """
    acted = finite & ~jnp.isnan(metrics["actor_loss"])  # NaN: the actor rested
    updates = interval.updates + finite.astype(jnp.int32)
    actor_updates = interval.actor_updates + acted.astype(jnp.int32)

    def mean(name: str, now: Any) -> jax.Array:
        before = interval.mean[name]
        if not jnp.issubdtype(before.dtype, jnp.floating):
            return now
        counts, count = (acted, actor_updates) if name in OF_ACTOR else (finite, updates)
        return jnp.where(counts, before + (now - before) / jnp.maximum(count, 1), before)

    means = Metrics({name: mean(name, now) for name, now in metrics.items()})
    return Interval(means, updates, actor_updates)


def begin(interval: Interval) -> Interval:
    """The next interval; counters stay."""
    return Interval(
        jax.tree.map(
            lambda x: jnp.zeros_like(x) if jnp.issubdtype(x.dtype, jnp.floating) else x,
            interval.mean,
        ),
        jnp.zeros_like(interval.updates),
        jnp.zeros_like(interval.actor_updates),
    )
