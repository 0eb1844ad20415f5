"""A puck with momentum, seen as 16×16 pixels: no single image shows how fast it is."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from reach import image

SIZE, PUSH, FRICTION, START = 16, 0.05, 0.9, 0.2


class State(struct.PyTreeNode):
    """Where the puck and the target are in [-1, 1]², and how far the puck goes in a step."""

    puck: jax.Array
    speed: jax.Array
    target: jax.Array
    observation: Any
    reward: jax.Array
    terminated: jax.Array


class Puck:
    """Push a puck (red) to a target (green); paid is minus the distance after each of 25 steps."""

    def __init__(self, time_limit: int = 25) -> None:
        self.time_limit = time_limit
        self.action = jax.ShapeDtypeStruct((2,), jnp.float32)

    @property
    def observation(self) -> Any:
        """Struct of one observation."""
        return jax.ShapeDtypeStruct((SIZE, SIZE, 3), jnp.uint8)

    def reset(self, key: jax.Array) -> State:
        """Puck and target anywhere, the puck on its way."""
        puck, target, direction = jax.random.uniform(key, (3, 2), minval=-1, maxval=1)
        return self._state(puck, START * direction, target, jnp.zeros(()))

    def step(self, state: State, action: jax.Array) -> State:
        """Pushes the puck, which stops at the edges."""
        speed = FRICTION * state.speed + PUSH * jnp.clip(action, -1, 1)
        puck = state.puck + speed
        speed = jnp.where(jnp.abs(puck) < 1, speed, 0)
        puck = jnp.clip(puck, -1, 1)
        return self._state(puck, speed, state.target, -jnp.linalg.norm(puck - state.target))

    def _state(
        self, puck: jax.Array, speed: jax.Array, target: jax.Array, reward: jax.Array
    ) -> State:
        seen = image(puck, target, SIZE)
        return State(puck, speed, target, seen, reward, jnp.zeros((), bool))


def controller_return(key: jax.Array, episodes: int, sees_speed: bool) -> float:
    """Mean return of the best linear controller of distance, and of speed if it sees that."""
    env = Puck()
    starts = jax.vmap(env.reset)(jax.random.split(key, episodes))

    def total(gains: jax.Array) -> jax.Array:
        def one_step(states: State, _: Any) -> tuple[State, jax.Array]:
            push = gains[0] * (states.target - states.puck) - gains[1] * states.speed
            states = jax.vmap(env.step)(states, push)
            return states, states.reward

        return jax.lax.scan(one_step, starts, length=env.time_limit)[1].sum(axis=0).mean()

    of_speed = jnp.linspace(0, 40, 21) if sees_speed else jnp.zeros(1)
    gains = jnp.stack(jnp.meshgrid(jnp.linspace(0.2, 16, 40), of_speed), -1).reshape(-1, 2)
    return float(jax.lax.map(total, gains).max())
