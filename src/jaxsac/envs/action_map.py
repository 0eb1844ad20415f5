"""The map from [-1, 1] to a bounded action space; needs no environment package."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class ActionMap(NamedTuple):
    """The affine map from [-1, 1]^A to a bounded box, per dimension."""

    low: np.ndarray
    high: np.ndarray
    shape: tuple[int, ...]
    dtype: np.dtype

    @classmethod
    def unit(cls, action: jax.ShapeDtypeStruct) -> ActionMap:
        """The map of an environment whose actions (A,) lie in [-1, 1] themselves."""
        ones = np.ones(action.shape)
        return cls(-ones, ones, action.shape, np.dtype(action.dtype))

    @property
    def size(self) -> int:
        """A, the number of action dimensions."""
        return self.low.size

    @np.errstate(all="ignore")  # a simulator may have set that what is rounded to 0 is an error
    def __call__(self, action: np.ndarray) -> np.ndarray:
        """Maps (N, A) in [-1, 1] to (N, *shape) in the environment's own units."""
        # Centre and half-width, not low + (a + 1) / 2 · width: exact for symmetric bounds, where
        # a small action would otherwise lose its digits to the 1.
        center, half_width = (self.low + self.high) / 2, (self.high - self.low) / 2
        mapped = np.clip(center + half_width * action, self.low, self.high)
        mapped = np.where(action >= 1, self.high, np.where(action <= -1, self.low, mapped))
        return mapped.astype(self.dtype).reshape(len(action), *self.shape)

    def inverse(self, action: np.ndarray) -> np.ndarray:
        """Maps (N, *shape) in the environment's own units to (N, A), float64.

        What lies within the bounds comes to [-1, 1]; the bounds themselves to -1 and 1.
        """
        center, half_width = (self.low + self.high) / 2, (self.high - self.low) / 2
        flat = action.reshape(len(action), self.size).astype(np.float64)
        unit = (flat - center) / half_width
        return np.where(flat == self.high, 1, np.where(flat == self.low, -1, unit))

    def in_jax(self, action: jax.Array) -> jax.Array:
        """Maps one action (A,), clipped to [-1, 1], to `shape` inside a compiled program."""
        dtype = action.dtype
        center = jnp.asarray((self.low + self.high) / 2, dtype)
        half_width = jnp.asarray((self.high - self.low) / 2, dtype)
        return (center + half_width * jnp.clip(action, -1, 1)).reshape(self.shape)
