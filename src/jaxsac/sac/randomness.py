"""All that is random in one update."""

from __future__ import annotations

from typing import NamedTuple

import jax

from jaxsac import draws
from jaxsac.types import Spec


class Randomness(NamedTuple):
    """Noise for the actions, and keys for networks that draw numbers of their own."""

    next_action_noise: jax.Array
    """Standard normal (B, A), for the action in the target."""
    action_noise: jax.Array
    """Standard normal (K, B, A), for the actor's."""
    critic_key: jax.Array
    actor_key: jax.Array


def draw(key: jax.Array, action_spec: Spec, batch_size: int, num_samples: int) -> Randomness:
    """What one update draws from its key; K is `num_samples`."""
    struct = action_spec.tree
    # One draw: on a CPU the generator costs more to start than to run.
    noise = draws.normal(key, (1 + num_samples, batch_size, *struct.shape), struct.dtype)
    # Folded in, so that the noise is the same whether a network needs its key or not.
    critic_key, actor_key = (jax.random.fold_in(key, number) for number in range(2))
    return Randomness(noise[0], noise[1:], critic_key, actor_key)
