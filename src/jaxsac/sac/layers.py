"""What default networks are built of: initial weights, normalization, and bodies.

A body is a module (*inputs) -> (B, output_size), a choice of `Config.body`. The names of its
submodules are part of what is saved, and of the keys that initial weights are drawn from.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxsac.types import PyTree

ActivationName = Literal["relu", "tanh", "silu", "gelu", "elu"]
BodyName = Literal["mlp", "residual"]
InitializerName = Literal["orthogonal", "lecun_normal", "lecun_uniform", "torch"]
NormalizationName = Literal["none", "layer"]


@dataclasses.dataclass(frozen=True)
class NetworkSettings:
    """How one of the default networks is built; `Config` explains each."""

    body: BodyName
    hidden_sizes: tuple[int, ...]
    activation: ActivationName
    normalization: NormalizationName
    initializer: InitializerName


def orthogonal_kernel(key: jax.Array, shape: tuple[int, int], dtype: Any) -> jax.Array:
    """A random semi-orthogonal matrix times √2, (inputs, outputs).

    On HalfCheetah this is worth about 1,000 points of return at 100,000 steps over Flax's default
    (LeCun normal). The matrix is the polar factor of a Gaussian one, which is uniformly
    distributed like the usual QR factor, by the Newton-Schulz iteration X ← (3X - X XᵀX) / 2.
    Matrix products alone, because jaxlib's QR on the CPU can deadlock: batched, as over seeds or
    an ensemble, it waits inside a worker of the thread pool that it needs.
    """
    gaussian = jax.random.normal(key, shape, jnp.promote_types(dtype, jnp.float32))
    # A Gaussian matrix has no singular value much above √m + √n; the iteration needs them below √3
    # and multiplies small ones by 1.5 a step.
    x = gaussian / (1.1 * (math.sqrt(shape[0]) + math.sqrt(shape[1])))

    def step(_: int, x: jax.Array) -> jax.Array:
        cubed = (x @ x.T) @ x if shape[0] <= shape[1] else x @ (x.T @ x)
        return 1.5 * x - 0.5 * cubed

    return (math.sqrt(2) * jax.lax.fori_loop(0, 50, step, x)).astype(dtype)


def initializers(name: InitializerName, fan_in: int) -> dict[str, Any]:
    """`kernel_init` and `bias_init` of a dense layer (`Config.initializer`)."""
    if name == "torch":  # nn.Linear: both uniform within ±1/√fan_in
        bound = 1 / math.sqrt(fan_in)

        def uniform(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
            return jax.random.uniform(key, shape, dtype, -bound, bound)

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

    def dense(self, x: jax.Array, size: int) -> jax.Array:
        """A dense layer with the initial weights that the settings name."""
        initial = initializers(self.settings.initializer, x.shape[-1])
        return nn.Dense(size, param_dtype=self.param_dtype, **initial)(x)

    def normalized(self, x: jax.Array) -> jax.Array:
        """`x` by the normalization that the settings name."""
        return NORMALIZATIONS[self.settings.normalization](x, self.param_dtype)

    def activated(self, x: jax.Array) -> jax.Array:
        """`x` by the activation that the settings name."""
        return getattr(nn, self.settings.activation)(x)


def _layer_norm(x: jax.Array, dtype: Any) -> jax.Array:
    return nn.LayerNorm(param_dtype=dtype)(x)


NORMALIZATIONS: dict[NormalizationName, Callable[[jax.Array, Any], jax.Array]] = {
    "none": lambda x, dtype: x,
    "layer": _layer_norm,
}
"""Applied before each activation; called inside a module."""


class MLP(Body):
    """Hidden layers, each with its normalization and activation; a linear output layer."""

    @nn.compact
    def __call__(self, *inputs: PyTree) -> jax.Array:
        """(B, output_size) of all leaves of the inputs, joined."""
        x = flat_features(inputs, self.param_dtype)
        for size in self.settings.hidden_sizes:
            x = self.activated(self.normalized(self.dense(x, size)))
        return self.dense(x, self.output_size)


class Residual(Body):
    """Blocks x + W₂ act(W₁ LN(x)) with four times as many units inside, and a last LayerNorm.

    The body of SimBa (Lee et al. 2024, arXiv:2410.09754), without its scale of observations, which
    is the trainer's. Every hidden size is a block, and all are alike.
    """

    @nn.compact
    def __call__(self, *inputs: PyTree) -> jax.Array:
        """(B, output_size) of all leaves of the inputs, joined."""
        size = self.settings.hidden_sizes[0]
        x = self.dense(flat_features(inputs, self.param_dtype), size)
        for _ in self.settings.hidden_sizes:
            inner = self.dense(_layer_norm(x, self.param_dtype), 4 * size)
            x = x + self.dense(self.activated(self.normalized(inner)), size)
        return self.dense(_layer_norm(x, self.param_dtype), self.output_size)


BODIES: dict[BodyName, type[Body]] = {"mlp": MLP, "residual": Residual}


def flat_features(tree: PyTree, dtype: Any) -> jax.Array:
    """All leaves of a pytree with one batch axis, flattened and joined: (B, features).

    Bytes are pixels, and brought to [0, 1].
    """

    def features(x: jax.Array) -> jax.Array:
        flat = jnp.reshape(x, (x.shape[0], math.prod(x.shape[1:]))).astype(dtype)
        return flat / 255 if x.dtype == jnp.uint8 else flat

    return jnp.concatenate([features(x) for x in jax.tree.leaves(tree)], axis=-1)
