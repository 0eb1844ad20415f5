"""What brings the features of a batch to a common scale.

A choice of `Config.normalization`; called inside a module. The names of its parameters, "scale" and
"bias", are those by which a projection finds them.
"""

from __future__ import annotations

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

NormalizationName = Literal["none", "layer", "batch", "batch_renorm"]
BATCH_NORMALIZATIONS = ("batch", "batch_renorm")
R_MAX, D_MAX = 3.0, 5.0
"""Bounds of batch renormalization: those that its paper ends with, and CrossQ has."""


class BatchNormSettings(NamedTuple):
    """How statistics of batches are used and remembered; `Config` explains each."""

    momentum: float
    epsilon: float
    renorm_warmup: int


class Moments(NamedTuple):
    """Of each feature, (features,)."""

    mean: jax.Array
    variance: jax.Array


class BatchNorm(nn.Module):
    """y = γ (x - μ) / √(σ² + ε) + β for each feature (Ioffe & Szegedy 2015, arXiv:1502.03167).

    μ and σ² are those of the batch in training, and running averages elsewhere:
    m ← momentum · m + (1 - momentum) · batch, of means and unbiased variances.
    """

    settings: BatchNormSettings
    train: bool
    param_dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, features), normalized."""
        size = x.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, size, self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros, size, self.param_dtype)
        return scale * self.standardized(x) + bias

    def standardized(self, x: jax.Array) -> jax.Array:
        """(x - μ) / √(σ² + ε); in training the running averages move on."""
        mean, variance = self.averages(x)
        if not self.train:
            return standardized(x, Moments(mean.value, variance.value), self.settings.epsilon)
        result, batch = standardized_by_itself(x, self.settings.epsilon)
        self.learn(mean, batch.mean)
        self.learn(variance, batch.variance * (len(x) / max(len(x) - 1, 1)))  # unbiased
        return result

    def averages(self, x: jax.Array) -> tuple[Any, Any]:
        """The running averages."""
        return (
            self.variable("batch_stats", "mean", jnp.zeros, x.shape[-1:], x.dtype),
            self.variable("batch_stats", "var", jnp.ones, x.shape[-1:], x.dtype),
        )

    def learn(self, average: Any, value: jax.Array) -> None:
        """Moves a running average."""
        keep = self.settings.momentum
        average.value = keep * average.value + (1 - keep) * value


class BatchRenorm(BatchNorm):
    """Batch normalization that trains by its running averages too (Ioffe 2017, arXiv:1702.03275).

    After `renorm_warmup` batches of plain batch normalization it is `renormalized`. The variances
    that are averaged are those of the batches as they are, as CrossQ has it in SBX.
    """

    def standardized(self, x: jax.Array) -> jax.Array:
        """(x - μ) / √(σ² + ε); in training the running averages move on."""
        mean, variance = self.averages(x)
        steps = self.variable("batch_stats", "steps", jnp.zeros, (), jnp.int32)
        epsilon, running = self.settings.epsilon, Moments(mean.value, variance.value)
        if not self.train:
            return standardized(x, running, epsilon)
        batch = moments_of(x)
        is_warm = steps.value >= self.settings.renorm_warmup
        self.learn(mean, batch.mean)
        self.learn(variance, batch.variance)
        steps.value += 1
        renorm = renormalized(batch, running, epsilon)
        moments = jax.tree.map(lambda new, plain: jnp.where(is_warm, new, plain), renorm, batch)
        return standardized(x, moments, epsilon)


def standardized(x: jax.Array, moments: Moments, epsilon: float) -> jax.Array:
    """(x - μ) / √(σ² + ε) of a batch (B, features)."""
    return (x - moments.mean) * jax.lax.rsqrt(moments.variance + epsilon)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def standardized_by_itself(x: jax.Array, epsilon: float) -> tuple[jax.Array, Moments]:
    """A batch (B, features) by its own moments, and those."""
    moments = moments_of(x)
    return standardized(x, moments, epsilon), moments


@standardized_by_itself.defjvp
def _(
    epsilon: float, primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[tuple[jax.Array, Moments], tuple[jax.Array, Moments]]:
    """For y = (x - μ) / s, s = √(σ² + ε), the means being those of the batch.

    dy = (dx - E[dx] - y E[y dx]) / s, dμ = E[dx], dσ² = 2 s E[y dx]

    By way of μ and σ² instead there are more sums over the batch: of an update of `fast` on a CPU
    they take a fifth where several agents learn in turn.
    """
    (y, moments), (dx,) = standardized_by_itself(*primals, epsilon), tangents
    s = jnp.sqrt(moments.variance + epsilon)
    mean, slope = jnp.mean(dx, axis=0), jnp.mean(y * dx, axis=0)
    return (y, moments), ((dx - mean - y * slope) / s, Moments(mean, 2 * s * slope))


def moments_of(x: jax.Array) -> Moments:
    """Of a batch (B, features).

    Not E[x²] - E[x]², which has no digits left where the mean of an input is large.
    """
    return Moments(jnp.mean(x, axis=0), jnp.var(x, axis=0))


def renormalized(batch: Moments, running: Moments, epsilon: float) -> Moments:
    """The moments by which batch normalization becomes batch renormalization.

    y = (x - μ_B) / σ_B · r + d, r = σ_B / σ within [1/3, 3], d = (μ_B - μ) / σ within [-5, 5]

    for the batch's μ_B and σ_B and the running μ and σ; r and d are not differentiated. Within the
    bounds the value is that by running averages, (x - μ) / σ. This is (x - m) / √(v + ε) with
    m = μ_B - d σ_B / r and v = σ_B² / r²; where ε enters is as CrossQ has it in SBX.
    """
    std = jnp.sqrt(running.variance + epsilon)
    r = jax.lax.stop_gradient(jnp.sqrt(batch.variance + epsilon) / std)
    d = jax.lax.stop_gradient((batch.mean - running.mean) / std)
    r, d = jnp.clip(r, 1 / R_MAX, R_MAX), jnp.clip(d, -D_MAX, D_MAX)
    # The square root of a feature that does not vary, a dead unit say, has no derivative.
    varies = batch.variance > 0
    batch_std = jnp.where(varies, jnp.sqrt(jnp.where(varies, batch.variance, 1)), 0)
    return Moments(batch.mean - d * batch_std / r, batch.variance / r**2)
