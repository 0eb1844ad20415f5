"""Pendulum-v1 in JAX: the equations and constants of Gymnasium's."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import struct

MAX_SPEED, MAX_TORQUE, DT, GRAVITY = 8.0, 2.0, 0.05, 10.0


class State(struct.PyTreeNode):
    """A pendulum of mass 1 and length 1."""

    angle: jax.Array
    """From upright, rad."""
    speed: jax.Array
    """rad/s."""
    observation: jax.Array
    """cos θ, sin θ and the speed."""
    reward: jax.Array
    terminated: jax.Array


@dataclasses.dataclass(frozen=True)
class Pendulum:
    """Swing a pendulum up and hold it, by a torque of at most 2 N·m.

    Two of the same time limit are equal, so that runs share their compiled programs.
    """

    time_limit: int = 200
    """Steps of an episode."""

    @property
    def observation(self) -> jax.ShapeDtypeStruct:
        """Struct of one observation; float64 where JAX has 64 bits enabled."""
        return jax.ShapeDtypeStruct((3,), jnp.result_type(float))

    @property
    def action(self) -> jax.ShapeDtypeStruct:
        """Struct of one action."""
        return jax.ShapeDtypeStruct((1,), jnp.result_type(float))

    def reset(self, key: jax.Array) -> State:
        """Any angle, and a speed of at most 1 rad/s."""
        angle, speed = jax.random.uniform(key, (2,), minval=-1, maxval=1) * jnp.array([math.pi, 1])
        return self._state(angle, speed, reward=jnp.zeros_like(angle))

    def step(self, state: State, action: jax.Array) -> State:
        """One Euler step of 0.05 s; the cost is that of the state and torque before it."""
        torque = MAX_TORQUE * jnp.clip(action[0], -1, 1)
        from_upright = (state.angle + math.pi) % (2 * math.pi) - math.pi
        cost = from_upright**2 + 0.1 * state.speed**2 + 0.001 * torque**2
        acceleration = 1.5 * GRAVITY * jnp.sin(state.angle) + 3 * torque
        speed = jnp.clip(state.speed + acceleration * DT, -MAX_SPEED, MAX_SPEED)
        return self._state(state.angle + speed * DT, speed, reward=-cost)

    def _state(self, angle: jax.Array, speed: jax.Array, reward: jax.Array) -> State:
        return State(
            angle=angle,
            speed=speed,
            observation=jnp.stack([jnp.cos(angle), jnp.sin(angle), speed]),
            reward=reward,
            terminated=jnp.zeros((), bool),
        )
