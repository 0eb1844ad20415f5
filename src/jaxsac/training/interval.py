"""Means of the metrics over the updates of an interval, between two rows of a run's metrics."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsac.sac.state import Metrics
from jaxsac.types import PyTree


class Interval(NamedTuple):
    """Means over the updates since the interval began."""

    mean: Metrics
    """Of floats; of whole numbers, such as counters, the latest."""
    updates: jax.Array
    """Number of updates in the mean, int32; those that were not finite are not in it."""


def init(metrics: PyTree) -> Interval:
    """Of no update.

    Args:
      metrics: structs of the metrics of one update.
    """
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), metrics)
    return Interval(zeros, jnp.zeros((), jnp.int32))


def add(interval: Interval, metrics: Metrics, finite: jax.Array) -> Interval:
    """With one update more: m ← m + (x − m) / n, which does not lose digits as a sum does.

    Args:
      interval: until then.
      metrics: of the update.
      finite: whether it counts, bool scalar.
    """
    updates = interval.updates + finite.astype(jnp.int32)

    def mean(before: jax.Array, now: Any) -> jax.Array:
        if not jnp.issubdtype(before.dtype, jnp.floating):
            return now
        return jnp.where(finite, before + (now - before) / jnp.maximum(updates, 1), before)

    return Interval(jax.tree.map(mean, interval.mean, metrics), updates)


def begin(interval: Interval) -> Interval:
    """The next interval; counters stay."""
    return Interval(
        jax.tree.map(
            lambda x: jnp.zeros_like(x) if jnp.issubdtype(x.dtype, jnp.floating) else x,
            interval.mean,
        ),
        jnp.zeros_like(interval.updates),
    )
