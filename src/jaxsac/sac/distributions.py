"""The squashed Gaussian policy: action and log-probability drawn together."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import struct


class TanhNormal(struct.PyTreeNode):
    """Parameters of a = tanh(u), u ~ N(mean, exp(log_std)²), independent per action dimension."""

    mean: jax.Array
    """(..., A)"""
    log_std: jax.Array
    """(..., A)"""
    epsilon: float = struct.field(pytree_node=False, default=0.0)
    """In log(1 - tanh²(u) + epsilon); 0 is the exact density."""


def mode(policy: TanhNormal) -> jax.Array:
    """The deterministic action tanh(mean), (..., A)."""
    return jnp.tanh(policy.mean)


def sample_and_log_prob(
    noise: jax.Array, policy: TanhNormal, density: TanhNormal | None = None
) -> tuple[jax.Array, jax.Array]:
    """Draws a = tanh(mean + std·ε) and its log-probability from the same ε.

    log π(a|s) = Σ_i [ -ε_i²/2 - log σ_i - log(2π)/2 - log(1 - tanh²(u_i)) ]

    Haarnoja et al. 2018, appendix C. Nothing inverts tanh: the last term is written as
    2·(log 2 - |u| - log(1 + exp(-2|u|))), which is exact for any u and has the gradient
    -2·tanh(u), so a saturated policy keeps its entropy gradient. With an `epsilon` it is the
    log(1 - tanh²(u) + ε) of other libraries, whose gradient goes to zero there.

    Args:
      noise: ε, standard normal, (..., A).
      policy: the distribution to draw from.
      density: the distribution to evaluate, the same values as `policy` by default. Giving the
        same values with another derivative (`jax.lax.stop_gradient(policy)`, or the parameters
        under another name) separates the two ways in which the policy's parameters enter
        log π: through the sample and through the density.

    Returns:
      The action (..., A) in [-1, 1] and its log-probability (...).
    """
    density = policy if density is None else density
    pre_tanh = policy.mean + jnp.exp(policy.log_std) * noise
    # (u - mean) / std for the density's own mean and std. Written as differences that are exactly
    # zero when both distributions are equal in value: ε survives however small std is, while the
    # derivative with respect to either distribution stays complete.
    standardized = (policy.mean - density.mean) * jnp.exp(-density.log_std) + noise * jnp.exp(
        policy.log_std - density.log_std
    )
    log_normal = -0.5 * standardized**2 - density.log_std - 0.5 * math.log(2 * math.pi)
    return jnp.tanh(pre_tanh), jnp.sum(
        log_normal - log_tanh_derivative(pre_tanh, policy.epsilon), axis=-1
    )


def log_tanh_derivative(pre_tanh: jax.Array, epsilon: float = 0.0) -> jax.Array:
    """log(1 - tanh²(u) + epsilon), elementwise; exact for any u where epsilon is 0."""
    if epsilon:
        return jnp.log(1 - jnp.tanh(pre_tanh) ** 2 + epsilon)
    # A plain log: beside log 4 the digits that log1p saves are below rounding, and on a CPU log1p
    # costs 4 % of an update.
    u = jnp.abs(pre_tanh)
    return 2 * (math.log(2) - u - jnp.log(1 + jnp.exp(-2 * u)))
