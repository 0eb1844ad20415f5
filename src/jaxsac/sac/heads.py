"""What the output of a critic means: its value, what it is trained towards, and how far off it is.

A choice of `Config.head`. Losses call a head and do not know which one it is.

Axes: B batch, E ensemble, N quantiles or atoms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

import jax
import jax.numpy as jnp

HeadName = Literal["scalar", "quantile", "categorical"]


class Head(Protocol):
    """The meaning of a critic's output, (..., *shape) for each state and action."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one output: () or, for a distribution, (N,)."""
        ...

    def value(self, output: jax.Array) -> jax.Array:
        """Q of each output: (..., *shape) -> (...)."""
        ...

    def mean(self, output: jax.Array) -> jax.Array:
        """One output whose value is the mean of the ensemble's: (E, B, *shape) -> (B, *shape)."""
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

    def target_value(self, target: jax.Array) -> jax.Array:
        """The value of a target, (B, *shape) -> (B,)."""
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

    def mean(self, output: jax.Array) -> jax.Array:
        """The mean over the ensemble."""
        return jnp.mean(output, axis=0)

    def backup(
        self, reward: jax.Array, discount: jax.Array, output: jax.Array, cost: jax.Array
    ) -> jax.Array:
        """y = r + γ d (Q(s', a') - α log π(a'|s'))."""
        return reward + discount * (output - cost)

    def target_value(self, target: jax.Array) -> jax.Array:
        """y."""
        return target

    def distance(
        self, output: jax.Array, target: jax.Array, weight: jax.Array | None = None
    ) -> jax.Array:
        """½ Σ_i E[ w (Q_i - y)² ]."""
        return 0.5 * _sum_of_means((output - target) ** 2, weight)


class Quantile(NamedTuple):
    """The output is N quantiles θ_j of the return, at the levels τ_j = (j + ½) / N.

    QR-DQN (Dabney et al. 2018, arXiv:1710.10044), as TQC has it (Kuznetsov et al. 2020,
    arXiv:2005.04269).
    """

    num_quantiles: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(N,)."""
        return (self.num_quantiles,)

    def value(self, output: jax.Array) -> jax.Array:
        """The mean of the quantiles, however many a pessimism has left."""
        return jnp.mean(output, axis=-1)

    def mean(self, output: jax.Array) -> jax.Array:
        """The mean of each quantile over the ensemble."""
        return jnp.mean(output, axis=0)

    def backup(
        self, reward: jax.Array, discount: jax.Array, output: jax.Array, cost: jax.Array
    ) -> jax.Array:
        """y_k = r + γ d (θ_k(s', a') - α log π(a'|s')), for each quantile of the next state."""
        return reward[:, None] + discount[:, None] * (output - cost[:, None])

    def target_value(self, target: jax.Array) -> jax.Array:
        """The mean of the y_k."""
        return jnp.mean(target, axis=-1)

    def distance(
        self, output: jax.Array, target: jax.Array, weight: jax.Array | None = None
    ) -> jax.Array:
        """Huber quantile loss Σ_i E[ w |τ_j - 1(δ < 0)| H(δ) ], δ = y_k - θ_ij, mean over j and k.

        H(δ) is ½ δ² up to |δ| = 1, and |δ| - ½ beyond.
        """
        size = output.shape[-1]
        level = (jnp.arange(size, dtype=output.dtype) + 0.5) / size
        error = target[:, None, :] - output[..., None]
        size_of_error = jnp.abs(error)
        huber = jnp.where(size_of_error > 1, size_of_error - 0.5, 0.5 * error**2)
        loss = jnp.abs(level[:, None] - (error < 0)) * huber
        return _sum_of_means(jnp.mean(loss, axis=(-2, -1)), weight)


class Categorical(NamedTuple):
    """The output is logits of N atoms z, evenly spread over [-bound, bound], of the return.

    C51 (Bellemare et al. 2017, arXiv:1707.06887). Returns beyond the bound count as it.
    """

    num_atoms: int
    bound: float

    @property
    def shape(self) -> tuple[int, ...]:
        """(N,)."""
        return (self.num_atoms,)

    def atoms(self, like: jax.Array) -> jax.Array:
        """z, (N,), in the precision of an array."""
        return jnp.linspace(-self.bound, self.bound, self.num_atoms, dtype=like.dtype)

    def value(self, output: jax.Array) -> jax.Array:
        """Σ_j p_j z_j, p = softmax(output)."""
        return jax.nn.softmax(output) @ self.atoms(output)

    def mean(self, output: jax.Array) -> jax.Array:
        """The logarithm of the ensemble's mixture of distributions."""
        log_probs = jax.nn.log_softmax(output)
        return jax.nn.logsumexp(log_probs, axis=0) - jnp.log(jnp.asarray(len(output), output.dtype))

    def backup(
        self, reward: jax.Array, discount: jax.Array, output: jax.Array, cost: jax.Array
    ) -> jax.Array:
        """The probabilities of r + γ d (z - α log π(a'|s')) on the atoms.

        What lies between two atoms is shared by them in proportion to how near it is, what lies
        beyond the last one is theirs.
        """
        moved = reward[:, None] + discount[:, None] * (self.atoms(output) - cost[:, None])
        moved = jnp.clip(moved, -self.bound, self.bound)
        place = (moved + self.bound) * ((self.num_atoms - 1) / (2 * self.bound))
        places = jnp.arange(self.num_atoms, dtype=output.dtype)

        def add(total: jax.Array, atom: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            place, prob = (x[:, None] for x in atom)
            return total + prob * jnp.maximum(1 - jnp.abs(place - places), 0), None

        # One atom of the next state after the other, (B, N): all at once, (B, N, N), takes ten
        # times as long on a CPU, and a scatter adds in any order on a GPU.
        moving = place.T, jax.nn.softmax(output).T
        return jax.lax.scan(add, jnp.zeros_like(output), moving, unroll=8)[0]

    def target_value(self, target: jax.Array) -> jax.Array:
        """Σ_j p_j z_j."""
        return target @ self.atoms(target)

    def distance(
        self, output: jax.Array, target: jax.Array, weight: jax.Array | None = None
    ) -> jax.Array:
        """Cross-entropy -Σ_i E[ w Σ_j y_j log p_ij ]."""
        return _sum_of_means(-jnp.sum(target * jax.nn.log_softmax(output), axis=-1), weight)


HEADS: dict[HeadName, Callable[[Any], Head]] = {
    "scalar": lambda config: Scalar(),
    "quantile": lambda config: Quantile(config.num_quantiles),
    "categorical": lambda config: Categorical(config.num_atoms, config.value_bound),
}
"""Heads by name (`Config.head`), each with its numbers."""


def _sum_of_means(loss: jax.Array, weight: jax.Array | None) -> jax.Array:
    """Σ_i E[ w l_i ] of losses (E, B)."""
    if weight is not None:
        loss = weight * loss
    return jnp.sum(jnp.mean(loss, axis=-1))
