"""All that is random in one update."""

from __future__ import annotations

from typing import NamedTuple

import jax

from jaxsac import draws
from jaxsac.sac.encoders import random_shift
from jaxsac.sac.state import State
from jaxsac.types import Transition


class Randomness(NamedTuple):
    """Noise for the actions, and keys for networks that draw numbers of their own."""

    next_action_noise: jax.Array
    """Standard normal (B, A), for the action in the target."""
    action_noise: jax.Array
    """Standard normal (K, B, A), for the actor's."""
    critic_key: jax.Array
    actor_key: jax.Array


def draw(state: State, batch: Transition, key: jax.Array) -> tuple[Transition, Randomness]:
    """What one update draws from its key: the batch with its images moved, and the rest."""
    config, struct = state.config, state.action_spec.tree
    shape = (1 + config.actor_samples, *batch.reward.shape, *struct.shape)
    # One draw: on a CPU the generator costs more to start than to run.
    noise = draws.normal(key, shape, struct.dtype)
    # Folded in, so that the noise is the same whether a network needs its key or not.
    keys = [jax.random.fold_in(key, number) for number in range(4)]
    critic_key, actor_key, *ends = keys
    # Both ends of a transition are moved by themselves.
    observation, following = (
        random_shift(end, x, config.random_shift)
        for end, x in zip(ends, (batch.observation, batch.next_observation), strict=True)
    )
    batch = batch._replace(observation=observation, next_observation=following)
    return batch, Randomness(noise[0], noise[1:], critic_key, actor_key)
