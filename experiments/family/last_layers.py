"""Plain SAC's networks, whose last layers begin with weights a hundred times smaller.

Policy and critics are close to 0 then, whatever they see.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxsac.sac.layers import orthogonal_kernel


def small_kernel(key: jax.Array, shape: tuple[int, int], dtype: Any) -> jax.Array:
    """The default's initial weights, divided by 100."""
    return 0.01 * orthogonal_kernel(key, shape, dtype)


class Body(nn.Module):
    """Two hidden layers as the default's, and a small one."""

    output_size: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, output_size)."""
        for _ in range(2):
            x = nn.relu(nn.Dense(256, kernel_init=orthogonal_kernel)(x))
        return nn.Dense(self.output_size, kernel_init=small_kernel)(x)


class Actor(nn.Module):
    """observation -> mean and log σ, each (B, A)."""

    action_size: int | None = None

    @nn.compact
    def __call__(self, observation: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Of a batch."""
        assert self.action_size is not None  # it is told
        mean, log_std = jnp.split(Body(2 * self.action_size)(observation), 2, axis=-1)
        return mean, jnp.clip(log_std, -10, 2)


class Critic(nn.Module):
    """(observation, action) -> Q of two critics, (2, B)."""

    @nn.compact
    def __call__(self, observation: jax.Array, action: jax.Array) -> jax.Array:
        """Of a batch."""
        ensemble = nn.vmap(
            Body,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=0,  # pyright: ignore[reportArgumentType]
            axis_size=2,
        )
        x = jnp.concatenate([observation, action], axis=-1)
        return jnp.squeeze(ensemble(1)(jnp.broadcast_to(x, (2, *x.shape))), axis=-1)
