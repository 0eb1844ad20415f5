"""Batches of two sources in fixed shares: a run's own replay, and data from before it."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxsac.data import replay
from jaxsac.data.replay import Buffer
from jaxsac.types import PyTree


def rows_of(fraction: float, batch_size: int) -> int:
    """Rows of a batch that a fraction comes to: the nearest number, of two the even one."""
    return round(fraction * batch_size)


def sample(
    buffer: Buffer,
    prior: Buffer | tuple[()],
    key: jax.Array,
    batch_size: int,
    prior_rows: int,
    latest: jax.Array | None = None,
) -> PyTree:
    """Draws a batch of which exactly `prior_rows` rows are prior data (RLPD, arXiv:2302.02948).

    Args:
      buffer: the replay of a run.
      prior: transitions from before it; () for none, with `prior_rows` 0.
      key: PRNG key; without prior data what is drawn is `replay.sample` with it.
      batch_size: B, static.
      prior_rows: static, of 0 to B.
      latest: as in `replay.sample`, of the run's own transitions.

    Returns:
      (B, ...), the rows of prior data first; each part uniform, with replacement.

    Raises:
      ValueError: as `replay.sample`.
    """
    if not prior_rows:
        return replay.sample(buffer, key, batch_size, latest)
    assert isinstance(prior, Buffer)
    if prior_rows == batch_size:
        return replay.sample(prior, key, batch_size)
    prior_key, own_key = jax.random.split(key)
    return jax.tree.map(
        lambda x, y: jnp.concatenate([x, y]),
        replay.sample(prior, prior_key, prior_rows),
        replay.sample(buffer, own_key, batch_size - prior_rows, latest),
    )
