"""The flight recorder: it keeps a learner's first update that was not finite, to be repeated."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxsac.data import replay
from jaxsac.data.replay import Buffer
from jaxsac.sac.state import State
from jaxsac.types import Transition


class Failure(NamedTuple):
    """The first update of a learner that was not finite: all that is needed to repeat it."""

    agent: State
    """As before the update."""
    batch: Transition
    key: jax.Array
    """As numbers, `jax.random.key_data`."""


def init(agent: State, batch: Transition, key: jax.Array) -> Buffer:
    """Nothing recorded yet: a ring with room for one `Failure`.

    Args:
      agent: of one learner; of this and what follows shapes and dtypes count alone.
      batch: that it learns from.
      key: of an update.
    """
    # Packed as replay is, so that it costs few arrays.
    return replay.init(1, Failure(agent, batch, jax.random.key_data(key)))


def record(
    recorder: Buffer, failed: jax.Array, agent: State, batch: Transition, keys: jax.Array
) -> Buffer:
    """Keeps the updates that have failed, of those learners that hold none; leading axis S.

    Args:
      recorder: so far.
      failed: bool (S,).
      agent: after the update.
      batch: that it learned from, (S, B, ...).
      keys: of the update, (S,).
    """
    first = failed & (recorder.size == 0)
    # Before the update it was as it is, but for the count of those left out, by which actors rest.
    before = agent.replace(skipped=agent.skipped - 1)
    now = Failure(before, batch, jax.vmap(jax.random.key_data)(keys))
    return jax.lax.cond(jnp.any(first), lambda: _add(recorder, now, first), lambda: recorder)


def of_member(recorder: Buffer, index: int) -> Failure:
    """The failure of one learner, which must have one."""
    ring = jax.tree.map(lambda rows: rows[index], recorder)
    # Of one row there is one sample.
    return jax.tree.map(lambda rows: rows[0], replay.sample(ring, jax.random.key(0), 1))


def _add(recorder: Buffer, failure: Failure, mask: jax.Array) -> Buffer:
    """Appends a row to the rings of those learners that are marked."""
    one_each = jax.tree.map(lambda leaf: leaf[:, None], failure)
    return jax.vmap(replay.add)(recorder, one_each, mask[:, None])
