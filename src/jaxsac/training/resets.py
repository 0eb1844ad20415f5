"""Periodic resets of the agents, their replay kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from flax import struct

from jaxsac.sac.reset import reset
from jaxsac.sac.state import State


class Resets(struct.PyTreeNode):
    """When agents start anew, and from what."""

    key: jax.Array
    """Of the member's own seed."""
    every: int = struct.field(pytree_node=False)
    """Updates from one reset to the next."""


def init(every: int, key: jax.Array) -> Resets | tuple[()]:
    """Resets after each `every` updates; () for 0: none."""
    return Resets(key, every) if every else ()


def before_update(
    resets: Resets | tuple[()],
    agent: State,
    over_seeds: Callable[[Callable[..., Any]], Callable[..., Any]],
) -> State:
    """Starts the agents anew if that is due before their next update.

    Before it and not after the last one, so that a run or an evaluation which ends with as many
    updates has what they came to.

    Args:
      resets: leading axis S.
      agent: leading axis S.
      over_seeds: how a function of one seed runs over the seed axis.
    """
    if not resets:
        return agent
    updates = agent.step + agent.skipped
    due = (updates > 0) & (updates % resets.every == 0)
    keys = jax.vmap(jax.random.fold_in)(resets.key, updates)
    # Members update together: what is due for one is due for all.
    return jax.lax.cond(due[0], lambda: over_seeds(reset)(agent, keys), lambda: agent)
