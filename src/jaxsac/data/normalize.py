"""Running standardization of observations: (x − mean) / standard deviation of those so far."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxsac.types import PyTree, Spec

EPSILON = 1e-8
"""Added to a variance; a feature that never changes has none."""
LIMIT = 10.0
"""Normalized features lie within ± this many deviations."""
LARGEST = 1e15
"""Rows with a larger number are not counted: sums of its square would not stay finite."""
MOST = 2**22
"""Observations that those so far count as at most, so that earlier ones fade: to the sum of more
squares a float32 adds no single one, and an int32 does not count them for ever."""


class Moments(struct.PyTreeNode):
    """Running moments of one array of an observation, feature by feature."""

    count: jax.Array
    """Observations so far, int32 scalar; of more than `MOST` about as many."""
    mean: jax.Array
    squares: jax.Array
    """Sum of squared deviations from the mean."""


Normalizer = tuple[Moments, ...]
"""For each array of floats in an observation, in their order. `()` changes nothing."""


def init(observation: PyTree) -> Normalizer:
    """No observations yet.

    Args:
      observation: one unbatched example, arrays or `jax.ShapeDtypeStruct`s. Integers, such as the
        pixels of an image, are left as they are.
    """

    def none_of(x: jax.ShapeDtypeStruct) -> Moments:
        zeros = jnp.zeros(x.shape, jnp.promote_types(x.dtype, jnp.float32))
        return Moments(jnp.zeros((), jnp.int32), zeros, jnp.copy(zeros))

    return tuple(none_of(x) for x in Spec.of(observation).leaves if is_float(x))


def is_float(leaf: jax.Array | np.ndarray | jax.ShapeDtypeStruct) -> bool:
    """Whether an array of an observation is scaled: of floats, bfloat16 too."""
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def update(normalizer: Normalizer, observations: PyTree, mask: jax.Array) -> Normalizer:
    """Adds observations: means and sums of squares are merged (Chan, Golub and LeVeque 1979).

    Those so far count as `MOST` at most: of more the statistics follow the later ones.

    Args:
      normalizer: so far.
      observations: with one leading axis (N, ...).
      mask: bool (N,); the others are not counted, whatever is in them, and neither are rows in
        which a number is not below 1e15.

    Returns:
      The moments of all that have been counted.

    Raises:
      AssertionError: the mask is not one bool for each observation.
      ValueError: observations of other arrays than the one that `init` was given.
    """
    if not normalizer:
        return normalizer
    mask = jnp.asarray(mask)
    chex.assert_rank(mask, 1)
    chex.assert_type(mask, bool)
    leaves, places = _floats(normalizer, observations)
    floats = [leaves[place] for place in places]
    chex.assert_tree_shape_prefix(floats, mask.shape)
    chex.assert_rank(floats, [1 + moments.mean.ndim for moments in normalizer])
    return tuple(merge(old, x, mask) for old, x in zip(normalizer, floats, strict=True))


def of_data(observations: PyTree) -> Normalizer:
    """The moments of observations that are all there already, NumPy arrays (N, ...).

    Rows that `update` would not count are not counted.
    """

    def moments(x: np.ndarray) -> Moments:
        x = np.asarray(x)
        small = np.abs(x) < np.float64(LARGEST)
        x = x[small.all(axis=tuple(range(1, x.ndim)))]
        if not len(x):
            (nothing,) = init(jax.ShapeDtypeStruct(x.shape[1:], x.dtype))
            return nothing
        # In double precision: a float32 loses digits in a sum of millions.
        dtype = jax.dtypes.canonicalize_dtype(jnp.promote_types(x.dtype, jnp.float32))
        mean = x.mean(axis=0, dtype=np.float64)
        squares = x.var(axis=0, dtype=np.float64) * len(x)
        return Moments(
            jnp.asarray(len(x), jnp.int32), jnp.asarray(mean, dtype), jnp.asarray(squares, dtype)
        )

    return tuple(moments(x) for x in jax.tree.leaves(observations) if is_float(x))


def merge(old: Moments, x: jax.Array, mask: jax.Array) -> Moments:
    """The moments of all that was counted in `old`, and of the rows of x (N, ...) in the mask."""
    mask = mask & jnp.all(jnp.abs(x) < LARGEST, axis=tuple(range(1, x.ndim)))
    counted = mask.reshape(-1, *[1] * (x.ndim - 1))
    # Small floats cannot count the observations; a NaN times zero would stay a NaN.
    x = jnp.where(counted, x, 0).astype(old.mean.dtype)
    before, added = jnp.minimum(old.count, MOST), jnp.sum(mask, dtype=jnp.int32)
    count = before + added
    kept = before.astype(x.dtype) / jnp.maximum(old.count, 1)
    mean = jnp.sum(x, axis=0) / jnp.maximum(added, 1)
    squares = jnp.sum(jnp.where(counted, x - mean, 0) ** 2, axis=0)
    share = added.astype(x.dtype) / jnp.maximum(count, 1)
    delta = mean - old.mean
    return Moments(
        count,
        old.mean + share * delta,
        kept * old.squares + squares + share * before.astype(x.dtype) * delta**2,
    )


def apply(normalizer: Normalizer, observation: PyTree) -> PyTree:
    """(x − mean) / √(variance + ε) for every feature, within ±`LIMIT`.

    Args:
      normalizer: () gives the observation itself, and so does one that has counted nothing.
      observation: with any leading axes.

    Returns:
      The same structure, shapes and dtypes.

    Raises:
      ValueError: an observation of other arrays than the one that `init` was given.
    """
    if not normalizer:
        return observation
    leaves, places = _floats(normalizer, observation)
    for place, moments in zip(places, normalizer, strict=True):
        leaves[place] = _scale(moments, leaves[place])
    return jax.tree.unflatten(jax.tree.structure(observation), leaves)


def _floats(normalizer: Normalizer, observation: PyTree) -> tuple[list[jax.Array], list[int]]:
    """The arrays of an observation, and which of them are scaled."""
    leaves = [x if hasattr(x, "dtype") else jnp.asarray(x) for x in jax.tree.leaves(observation)]
    places = [place for place, x in enumerate(leaves) if is_float(x)]
    if len(places) != len(normalizer):
        raise ValueError(
            f"the observation has {len(places)} arrays of floats, the example given to `init` had "
            f"{len(normalizer)}."
        )
    for place, moments in zip(places, normalizer, strict=True):
        shape, event = leaves[place].shape, moments.mean.shape
        if shape[len(shape) - len(event) :] != event:
            raise ValueError(
                f"the observation has an array of shape {shape}, expected "
                f"({', '.join(['...', *map(str, event)])}) as in the example given to `init`."
            )
    return leaves, places


def _scale(moments: Moments, x: jax.Array) -> jax.Array:
    x = jnp.asarray(x)
    count = jnp.maximum(moments.count, 1).astype(moments.mean.dtype)
    scaled = (x - moments.mean) * jax.lax.rsqrt(moments.squares / count + EPSILON)
    return jnp.where(moments.count > 0, jnp.clip(scaled, -LIMIT, LIMIT).astype(x.dtype), x)
