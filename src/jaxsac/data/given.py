"""Arrays of transitions that there are already, and what they have to be."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsac.types import PyTree, Transition


def arrays(transitions: PyTree) -> PyTree:
    """Each leaf as an array of numbers.

    Raises:
      ValueError: what is none, such as a number alone, a text or an array of objects.
    """
    return jax.tree.map_with_path(_array, transitions)


def _array(path: Any, leaf: Any) -> Any:
    array = leaf
    if not isinstance(leaf, np.ndarray | jax.Array) and hasattr(leaf, "__array__"):
        array = np.asarray(leaf)
    dtype = getattr(array, "dtype", None)
    if dtype is None or not any(jnp.issubdtype(dtype, kind) for kind in (np.number, np.bool_)):
        what = f"a {type(leaf).__name__}" if dtype is None else f"of {dtype}"
        name = f"transitions{jax.tree_util.keystr(path)}"
        raise ValueError(f"{name} is {what}, expected an array of numbers, (N, ...).")
    return array


def check_kinds(steps: Transition) -> None:
    """Refuses arrays (N, ...) of other shapes and dtypes than steps of a process have."""
    parts = (steps.observation, steps.next_observation)
    # Leaf by leaf: nodes of a user's own need not know when they are equal.
    before, after = (
        (jax.tree.structure(part), [(x.shape[1:], x.dtype) for x in jax.tree.leaves(part)])
        for part in parts
    )
    if before != after:
        shown, expected = (
            jax.tree.map(lambda x: (x.shape[1:], x.dtype.name), part) for part in reversed(parts)
        )
        raise ValueError(
            f"next_observation has shapes and dtypes {shown}, expected {expected} as in "
            "observation."
        )
    for name, rank in (("action", 2), ("reward", 1), ("discount", 1)):
        array = getattr(steps, name)
        if array.ndim != rank or not jnp.issubdtype(array.dtype, jnp.floating):
            shape = "(N, A)" if rank == 2 else "(N,)"
            raise ValueError(
                f"{name} is {array.dtype}{list(array.shape)}, expected floats {shape}."
                + " It is 1 - terminated.astype(float)." * (name == "discount")
            )


def check_values(steps: Transition) -> None:
    """Refuses numbers that steps of a process do not have, as the ring holds them."""
    for path, leaf in jax.tree.leaves_with_path(steps):
        if jnp.issubdtype(leaf.dtype, jnp.floating) and not np.isfinite(leaf).all():
            rows = int((~np.isfinite(leaf)).reshape(len(leaf), -1).any(axis=1).sum())
            raise ValueError(
                f"{jax.tree_util.keystr(path)[1:]} is not finite in {rows} rows, as {leaf.dtype}."
            )
    outside = int((np.abs(np.asarray(steps.action)) > 1).any(axis=1).sum())
    if outside:
        raise ValueError(
            f"action is outside [-1, 1] in {outside} of {len(steps.action)} rows: map those of the "
            "environment from its bounds to [-1, 1]."
        )
    discount = np.asarray(steps.discount)
    if not ((discount >= 0) & (discount <= 1)).all():
        raise ValueError(
            f"discount has values from {discount.min()} to {discount.max()}, expected [0, 1]: it "
            "is 0 where the process terminated and 1 elsewhere, at a time limit too."
        )
