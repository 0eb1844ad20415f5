"""Reaching in a plane, seen as pixels: environments in JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

SPEED = 0.25


class State(struct.PyTreeNode):
    """Where the hand and the target are, in [-1, 1]²."""

    hand: jax.Array
    target: jax.Array
    observation: Any
    reward: jax.Array
    terminated: jax.Array


class Reach:
    """Bring a hand (red) to a target (green); paid is minus the distance after each of 25 steps."""

    def __init__(self, time_limit: int = 25, size: int = 32) -> None:
        self.time_limit, self.size = time_limit, size
        self.action = jax.ShapeDtypeStruct((2,), jnp.float32)

    @property
    def observation(self) -> Any:
        """Structs of one observation."""
        return jax.eval_shape(self.observe, jnp.zeros(2), jnp.zeros(2))

    def observe(self, hand: jax.Array, target: jax.Array) -> Any:
        """Both in one image."""
        return image(hand, target, self.size)

    def reset(self, key: jax.Array) -> State:
        """Hand and target anywhere."""
        hand, target = jax.random.uniform(key, (2, 2), minval=-1, maxval=1)
        return self._state(hand, target, jnp.zeros(()))

    def step(self, state: State, action: jax.Array) -> State:
        """Moves the hand by at most 0.25 in each direction."""
        hand = jnp.clip(state.hand + SPEED * jnp.clip(action, -1, 1), -1, 1)
        return self._state(hand, state.target, -jnp.linalg.norm(hand - state.target))

    def _state(self, hand: jax.Array, target: jax.Array, reward: jax.Array) -> State:
        observation = self.observe(hand, target)
        return State(hand, target, observation, reward, jnp.zeros((), bool))


class ReachByFeel(Reach):
    """The same, where the hand is felt and not seen: an image of the target, and a vector."""

    def observe(self, hand: jax.Array, target: jax.Array) -> Any:
        """The target in an image, the hand in a vector."""
        return {"camera": image(jnp.full(2, 9.0), target, self.size), "hand": hand}


def image(hand: jax.Array, target: jax.Array, size: int) -> jax.Array:
    """(size, size, 3) bytes: a red and a green dot, a tenth as wide, with soft edges."""
    grid = jnp.linspace(-1, 1, size)

    def dot(at: jax.Array) -> jax.Array:
        square = (grid[:, None] - at[0]) ** 2 + (grid[None, :] - at[1]) ** 2
        return jnp.exp(-square / 0.02)

    channels = jnp.stack([dot(hand), dot(target), jnp.zeros((size, size))], axis=-1)
    return (255 * channels).astype(jnp.uint8)


def best_return(key: jax.Array, episodes: int, time_limit: int = 25) -> float:
    """Mean return of the best policy, which goes straight for the target."""
    env = Reach(time_limit)
    states = jax.vmap(env.reset)(jax.random.split(key, episodes))
    total = jnp.zeros(episodes)
    for _ in range(time_limit):
        actions = jnp.clip((states.target - states.hand) / SPEED, -1, 1)
        states = jax.vmap(env.step)(states, actions)
        total += states.reward
    return float(total.mean())
