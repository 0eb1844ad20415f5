"""What the output of a critic means: its value, what it is trained towards, and how far off it is.

Losses call a head and do not know which one it is.

Axes: B batch, E ensemble.
"""

from __future__ import annotations

from typing import Protocol

import jax
import jax.numpy as jnp


class Head(Protocol):
    """The meaning of a critic's output, (..., *shape) for each state and action."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one output: () or, for a distribution, (atoms,)."""
        ...

    def value(self, output: jax.Array) -> jax.Array:
        """Q of each output: (..., *shape) -> (...)."""
        ...

    def backup(
        self, reward: jax.Array, discount: jax.Array, output: jax.Array, cost: jax.Array
    ) -> jax.Array:
        """The Bellman target, (B, *shape).

        Args:
          reward: r, (B,).
          discount: γ d, (B,).
          output: of the critics at the next state and action, one for the ensemble, (B, *shape).
          cost: α log π(a'|s'), what the entropy takes from the next value, (B,).
        """
        ...

    def distance(
        self, output: jax.Array, target: jax.Array, weight: jax.Array | None = None
    ) -> jax.Array:
        """How far the critics are from the target, summed over them, the mean over the batch.

        Args:
          output: of each critic, (E, B, *shape).
          target: (B, *shape).
          weight: of each transition, (B,); 1 by default.
        """
        ...


class Scalar:
    """The output is Q(s, a) itself, and its distance to a target the squared error."""

    shape = ()

    def value(self, output: jax.Array) -> jax.Array:
        """Q."""
        return output

    def backup(
        self, reward: jax.Array, discount: jax.Array, output: jax.Array, cost: jax.Array
    ) -> jax.Array:
        """y = r + γ d (Q(s', a') - α log π(a'|s'))."""
        return reward + discount * (output - cost)

    def distance(
        self, output: jax.Array, target: jax.Array, weight: jax.Array | None = None
    ) -> jax.Array:
        """½ Σ_i E[ w (Q_i - y)² ]."""
        square = (output - target) ** 2
        if weight is not None:
            square = weight * square
        return 0.5 * jnp.sum(jnp.mean(square, axis=-1))
