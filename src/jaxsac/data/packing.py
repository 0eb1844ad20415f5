"""Trees of arrays packed side by side: an insert, a gather or a transfer is one for each dtype.

A dtype is never changed (uint8 stays uint8).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxsac.types import PyTree, Spec


def widths(spec: Spec) -> dict[str, int]:
    """Numbers in a packed row, by the name of their dtype."""
    return {
        dtype: sum(math.prod(spec.leaves[i].shape) for i in group)
        for dtype, group in _leaves_by_dtype(spec).items()
    }


def zeros(spec: Spec, count: int) -> dict[str, jax.Array]:
    """So many rows of zeros, (count, width)."""
    return {dtype: jnp.zeros((count, width), dtype) for dtype, width in widths(spec).items()}


def length(rows: Mapping[str, Any]) -> int:
    """How many rows there are (also under `jax.vmap`, where a seed axis is hidden)."""
    return next(iter(rows.values())).shape[-2]


def pack(spec: Spec, tree: PyTree, xp: Any = jnp) -> dict[str, Any]:
    """Rows (..., width) of a tree whose leaves are (..., *event).

    Args:
      spec: of the tree without its leading axes.
      tree: to be packed.
      xp: `numpy` for what is still on the host.
    """
    flat = [
        xp.reshape(leaf, (*leaf.shape[: leaf.ndim - len(struct.shape)], math.prod(struct.shape)))
        for leaf, struct in zip(jax.tree.leaves(tree), spec.leaves, strict=True)
    ]
    return {
        dtype: xp.concatenate([flat[i] for i in group], axis=-1)
        for dtype, group in _leaves_by_dtype(spec).items()
    }


def unpack(spec: Spec, rows: dict[str, Any], xp: Any = jnp) -> PyTree:
    """The inverse of `pack`."""
    leaves: list[Any] = [None] * len(spec.leaves)
    for dtype, group in _leaves_by_dtype(spec).items():
        sizes = [math.prod(spec.leaves[i].shape) for i in group]
        columns = xp.split(rows[dtype], list(itertools.accumulate(sizes))[:-1], axis=-1)
        for i, column in zip(group, columns, strict=True):
            leaves[i] = xp.reshape(column, (*column.shape[:-1], *spec.leaves[i].shape))
    return jax.tree.unflatten(spec.treedef, leaves)


@functools.lru_cache(maxsize=64)  # the host packs each step
def _leaves_by_dtype(spec: Spec) -> Mapping[str, Sequence[int]]:
    """Leaf numbers that share an array."""
    groups: dict[str, list[int]] = {}
    for i, leaf in enumerate(spec.leaves):
        groups.setdefault(leaf.dtype.name, []).append(i)
    return groups
