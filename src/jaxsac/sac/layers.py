"""What the bodies of default networks are built of: initial weights and hidden layers."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxsac import draws
from jaxsac.sac.normalization import (
    BatchNorm,
    BatchNormSettings,
    BatchRenorm,
    NormalizationName,
)
from jaxsac.types import PyTree

ActivationName = Literal["relu", "tanh", "silu", "gelu", "elu"]
BodyName = Literal["mlp", "residual", "inverted_residual"]
InitializerName = Literal["orthogonal", "lecun_normal", "lecun_uniform", "torch"]
PositionName = Literal["before", "after"]
EncoderName = Literal["auto", "flat"]


@dataclasses.dataclass(frozen=True)
class NetworkSettings:
    """How one of the default networks is built; `Config` explains each."""

    body: BodyName
    hidden_sizes: tuple[int, ...]
    activation: ActivationName
    normalization: NormalizationName
    initializer: InitializerName
    normalization_position: PositionName
    normalize_inputs: bool
    hidden_biases: bool
    dropout_rate: float
    batch_norm: BatchNormSettings
    encoder: EncoderName


def orthogonal_kernel(key: jax.Array, shape: tuple[int, int], dtype: Any) -> jax.Array:
    """A random semi-orthogonal matrix times √2, (inputs, outputs).

    On HalfCheetah this is worth about 1,000 points of return at 100,000 steps over Flax's default
    (LeCun normal). The matrix is the polar factor of a Gaussian one, which is uniformly
    distributed like the usual QR factor, by the Newton-Schulz iteration X ← (3X - X XᵀX) / 2.
    Matrix products alone, because jaxlib's QR on the CPU can deadlock: batched, as over seeds or
    an ensemble, it waits inside a worker of the thread pool that it needs.
    """
    gaussian = draws.normal(key, shape, dtype)
    # A Gaussian matrix has no singular value much above √m + √n; the iteration needs them below √3
    # and multiplies small ones by 1.5 a step.
    x = gaussian / (1.1 * (math.sqrt(shape[0]) + math.sqrt(shape[1])))

    def step(_: int, x: jax.Array) -> jax.Array:
        cubed = (x @ x.T) @ x if shape[0] <= shape[1] else x @ (x.T @ x)
        return 1.5 * x - 0.5 * cubed

    return math.sqrt(2) * jax.lax.fori_loop(0, 50, step, x)


def initializers(name: InitializerName, fan_in: int) -> dict[str, Any]:
    """`kernel_init` and `bias_init` of a dense layer (`Config.initializer`)."""
    if name == "torch":  # nn.Linear: both uniform within ±1/√fan_in
        bound = 1 / math.sqrt(fan_in)

        def uniform(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
            return draws.uniform(key, shape, dtype, -bound, bound)

        return {"kernel_init": uniform, "bias_init": uniform}
    kernels = {
        "orthogonal": orthogonal_kernel,
        "lecun_normal": nn.initializers.lecun_normal(),
        "lecun_uniform": nn.initializers.lecun_uniform(),
    }
    return {"kernel_init": kernels[name], "bias_init": nn.initializers.zeros}


class Body(nn.Module):
    """What every body has; to be subclassed.

    A layer that draws random numbers does so where a key is given to `apply`
    (`self.has_rng("dropout")`), as it is in updates and not in acting.
    """

    settings: NetworkSettings
    output_size: int
    param_dtype: Any
    train: bool = False
    """Whether statistics are those of the batch."""

    def inputs(self, tree: PyTree) -> jax.Array:
        """All leaves of the inputs, joined, and normalized where the settings say so."""
        x = flat_features(tree, self.param_dtype)
        return self.normalized(x) if self.settings.normalize_inputs else x

    def hidden(self, x: jax.Array, size: int) -> jax.Array:
        """A hidden layer with what belongs to it: dropout, normalization, activation."""
        x = self.dropped(self.dense(x, size, self.settings.hidden_biases))
        if self.settings.normalization_position == "before":
            return self.activated(self.normalized(x))
        return self.normalized(self.activated(x))

    def dense(self, x: jax.Array, size: int, use_bias: bool = True) -> jax.Array:
        """A dense layer with the initial weights that the settings name."""
        initial = initializers(self.settings.initializer, x.shape[-1])
        return nn.Dense(size, use_bias=use_bias, param_dtype=self.param_dtype, **initial)(x)

    def dropped(self, x: jax.Array) -> jax.Array:
        """`x` without a share of its units, the others raised by as much (Srivastava 2014)."""
        if not self.settings.dropout_rate:
            return x
        here = self.has_rng("dropout")
        return nn.Dropout(self.settings.dropout_rate, deterministic=not here)(x)

    def normalized(self, x: jax.Array) -> jax.Array:
        """`x` by the normalization that the settings name."""
        name = self.settings.normalization
        if name == "none":
            return x
        if name == "layer":
            return self.layer_normalized(x)
        kind = {"batch": BatchNorm, "batch_renorm": BatchRenorm}[name]
        return kind(self.settings.batch_norm, self.train, self.param_dtype)(x)

    def layer_normalized(self, x: jax.Array) -> jax.Array:
        """`x` by LayerNorm."""
        return nn.LayerNorm(param_dtype=self.param_dtype)(x)

    def activated(self, x: jax.Array) -> jax.Array:
        """`x` by the activation that the settings name."""
        return getattr(nn, self.settings.activation)(x)


def flat_features(tree: PyTree, dtype: Any) -> jax.Array:
    """All leaves of a pytree with one batch axis, flattened and joined: (B, features).

    Bytes are pixels, and brought to [0, 1].
    """

    def features(x: jax.Array) -> jax.Array:
        flat = jnp.reshape(x, (x.shape[0], math.prod(x.shape[1:]))).astype(dtype)
        return flat / 255 if x.dtype == jnp.uint8 else flat

    return jnp.concatenate([features(x) for x in jax.tree.leaves(tree)], axis=-1)
