"""Images as features: an encoder that the critics train, and the actor reads.

A choice of `Config.encoder`. The actor has a copy of the encoder among its collections, so that it
acts without the critics; no gradient of its loss reaches it (Yarats et al. 2021, arXiv:1910.01741).
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxsac.sac.layers import NetworkSettings, flat_features, initializers
from jaxsac.types import Params, PyTree

ENCODER = "encoder"
"""Its name among the critics' parameters, and the actor's collection that holds the copy."""
CHANNELS, LAYERS, FEATURES = 32, 3, 50


def is_image(struct: Any) -> bool:
    """Whether a leaf of an unbatched observation is an image: bytes, (H, W, C)."""
    return struct.dtype == jnp.uint8 and len(struct.shape) == 3


def encodes(settings: NetworkSettings, observation: PyTree) -> bool:
    """Whether an unbatched observation, arrays or structs, passes through an encoder."""
    return settings.encoder == "auto" and any(map(is_image, jax.tree.leaves(observation)))


class Encoder(nn.Module):
    """observation -> features (B, F): those of each image, and all other leaves as they are."""

    settings: NetworkSettings
    param_dtype: Any

    @nn.compact
    def __call__(self, observation: PyTree) -> jax.Array:
        """Features of a batch."""
        leaves = [
            self.image_features(x) if is_image(_event(x)) else flat_features(x, self.param_dtype)
            for x in jax.tree.leaves(observation)
        ]
        return jnp.concatenate(leaves, axis=-1)

    def image_features(self, image: jax.Array) -> jax.Array:
        """(B, H, W, C) -> (B, 50): three convolutions of 3×3 with stride 2, LayerNorm, tanh."""
        x = image.astype(self.param_dtype) / 255 - 0.5
        for _ in range(LAYERS):
            x = nn.relu(self.dense(patches(x), CHANNELS))
        x = self.dense(jnp.reshape(x, (x.shape[0], math.prod(x.shape[1:]))), FEATURES)
        return jnp.tanh(nn.LayerNorm(param_dtype=self.param_dtype)(x))

    def dense(self, x: jax.Array, size: int) -> jax.Array:
        """A dense layer over the last axis."""
        initial = initializers(self.settings.initializer, x.shape[-1])
        return nn.Dense(size, param_dtype=self.param_dtype, **initial)(x)


def patches(x: jax.Array) -> jax.Array:
    """The 3×3 neighbourhoods of every second pixel: (B, H, W, C) -> (B, ⌈H/2⌉, ⌈W/2⌉, 9C).

    A dense layer over them is a convolution with stride 2 and zeros around. Written so because
    seeds under `jax.vmap` are then one batched matrix product; a convolution with weights for each
    seed becomes one in groups, which compilers do not do well.
    """
    height, width = x.shape[1:3]
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows, columns = (range(3), range(3))
    shifted = [x[:, i : i + height : 2, j : j + width : 2] for i in rows for j in columns]
    return jnp.concatenate(shifted, axis=-1)


def encoded(module: nn.Module, settings: NetworkSettings, dtype: Any, observation: PyTree) -> Any:
    """Inside of a module: the features of a batch by an encoder that is part of it.

    An observation without images is returned as it is.
    """
    if not encodes(settings, _event(observation)):
        return observation
    return Encoder(settings, dtype, name=ENCODER, parent=module)(observation)


def encoded_as_lent(
    module: nn.Module, settings: NetworkSettings, dtype: Any, observation: PyTree
) -> Any:
    """Inside of a module: the features of a batch by an encoder that another one trains."""
    if not encodes(settings, _event(observation)):
        return observation
    encoder = Encoder(settings, dtype, parent=None)

    def start() -> Params:
        return encoder.init(module.make_rng("params"), observation)["params"]

    params = module.variable(ENCODER, "params", start)
    return encoder.apply({"params": params.value}, observation)


def lend(actor: Any, critic_params: Params) -> Any:
    """The actor's node with the encoder as the critics have it now; as it is without one."""
    if ENCODER not in actor.collections:
        return actor
    # A copy: two leaves of a state that share a buffer could not be donated.
    copy = jax.tree.map(jnp.copy, critic_params[ENCODER])
    return actor.replace(collections={**actor.collections, ENCODER: {"params": copy}})


def random_shift(key: jax.Array, observation: PyTree, pixels: int) -> PyTree:
    """Moves each image of a batch by up to `pixels` in both directions, its edges repeated.

    The augmentation of DrQ (Kostrikov et al. 2021, arXiv:2004.13649). Other leaves stay.

    Args:
      key: PRNG key; all images of one observation move alike.
      observation: batch (B, ...).
      pixels: at most; 0 returns the observation.
    """
    if not pixels:
        return observation
    size = len(jax.tree.leaves(observation)[0])
    offsets = jax.random.randint(key, (size, 2), 0, 2 * pixels + 1)

    def move(image: jax.Array, offset: jax.Array) -> jax.Array:
        padded = jnp.pad(image, ((pixels, pixels), (pixels, pixels), (0, 0)), mode="edge")
        return jax.lax.dynamic_slice(padded, (offset[0], offset[1], 0), image.shape)

    return jax.tree.map(
        lambda x: jax.vmap(move)(x, offsets) if is_image(_event(x)) else x, observation
    )


def _event(batch: PyTree) -> PyTree:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), batch)
