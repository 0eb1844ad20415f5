"""A replay ring on the device.

Transitions are packed, so that an insert is one write and a sample one gather for each dtype,
whatever the number of leaves. Under donation an insert works in place: its cost does not depend on
the capacity.

The order of rows is the order of insertion, modulo the capacity.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxsac.data import given, packing
from jaxsac.types import (
    PyTree,
    Spec,
    Transition,
    check_key,
    describe_disagreement,
    is_traced,
    is_whole,
    narrowed,
)


class Buffer(struct.PyTreeNode):
    """Packed rows and the two counters of a ring."""

    rows: dict[str, jax.Array]
    """By dtype name: (capacity, width)."""
    position: jax.Array
    """Row of the next insert, int32 scalar."""
    size: jax.Array
    """Rows filled, int32 scalar."""
    spec: Spec = struct.field(pytree_node=False)
    """One unbatched transition."""

    @property
    def capacity(self) -> int:
        """Rows that the ring holds."""
        return packing.length(self.rows)


class Plan(NamedTuple):
    """What a buffer will take, before anything is allocated."""

    capacity: int
    bytes_per_transition: int
    total_bytes: int


def plan(capacity: int, transition: PyTree) -> Plan:
    """The bytes that `init(capacity, transition)` would allocate.

    Args:
      capacity: rows.
      transition: one unbatched example, arrays or `jax.ShapeDtypeStruct`s.

    Raises:
      ValueError: a capacity below 1.
    """
    if not is_whole(capacity) or capacity < 1:
        raise ValueError(f"replay capacity must be at least 1, a whole number, got {capacity!r}.")
    spec = Spec.of(transition)
    if not spec.leaves:
        raise ValueError(f"the transition {transition!r} has no array: there is nothing to hold.")
    row = sum(width * jnp.dtype(dtype).itemsize for dtype, width in packing.widths(spec).items())
    return Plan(capacity, row, capacity * row)


def init(capacity: int, transition: PyTree) -> Buffer:
    """An empty ring.

    Args:
      capacity: transitions held; the oldest is overwritten when the ring is full.
      transition: one unbatched example: any pytree of arrays or `jax.ShapeDtypeStruct`s.

    Raises:
      TypeError: an example that holds a space, a text or keys.
      ValueError: a capacity below 1, or an example without an array.
    """
    plan(capacity, transition)
    spec = Spec.of(transition)
    none = jnp.zeros((), jnp.int32)
    return Buffer(packing.zeros(spec, capacity), none, jnp.copy(none), spec)


def from_arrays(transitions: PyTree, capacity: int | None = None) -> Buffer:
    """A ring of transitions that there are already, such as those of a data set.

    It is what `init`, and then `add` of each transition in order, would come to.

    Args:
      transitions: arrays with one leading axis (N, ...), the oldest row first: a `Transition`, or
        any other pytree. 64-bit numbers become 32-bit ones, unless JAX has 64 bits enabled. The
        `discount` of a `Transition` is 0 only where the process terminated: a time limit, or the
        end of the data, keeps 1.
      capacity: transitions held, N by default; of more than that the last are kept.

    Returns:
      The ring, on JAX's default device.

    Raises:
      ValueError: what is no array of numbers, no transitions, leading axes that disagree, or a
        capacity below 1; and, in a `Transition`, an action, reward or discount of another shape or
        dtype than a step has, a `next_observation` unlike its `observation`, floats that are not
        finite, an action outside [-1, 1] or a discount outside [0, 1]; whole numbers that the
        ring's dtype does not have.
    """
    transitions = given.arrays(transitions)
    leading = {
        f"transitions{jax.tree_util.keystr(path)}": np.shape(leaf)[:1]
        for path, leaf in jax.tree.leaves_with_path(transitions)
    }
    if len(set(leading.values())) != 1 or () in leading.values():
        raise ValueError(describe_disagreement(leading))
    ((count,),) = set(leading.values())
    if count < 1:
        raise ValueError("transitions hold no row: a ring needs at least 1 to know its shapes.")
    if isinstance(transitions, Transition):
        given.check_kinds(transitions)
    spec = Spec.of(jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), transitions))
    capacity = plan(count if capacity is None else capacity, spec.tree).capacity
    stored = jax.tree.map(lambda x, struct: narrowed(x, struct.dtype), transitions, spec.tree)
    if isinstance(transitions, Transition):
        given.check_values(stored)
    last = range(max(count - capacity, 0), count)
    packed = packing.pack(spec, jax.tree.map(lambda x: x[last.start :], stored), np)

    def placed(new: np.ndarray) -> jax.Array:
        rows = np.zeros((capacity, new.shape[-1]), new.dtype)
        rows[np.arange(last.start, last.stop) % capacity] = new
        return jnp.asarray(rows)

    return Buffer(
        jax.tree.map(placed, packed),
        jnp.asarray(count % capacity, jnp.int32),
        jnp.asarray(len(last), jnp.int32),
        spec,
    )


def add(buffer: Buffer, transitions: PyTree, mask: jax.Array | None = None) -> Buffer:
    """Appends transitions in order, over the oldest when the ring is full.

    Args:
      buffer: the ring; donate it to a surrounding `jax.jit` for an insert in place.
      transitions: the pytree of `init` with one leading axis (N, ...).
      mask: bool (N,); rows where it is False are left out and take no room.

    Returns:
      The ring with the masked-in rows; of more than `capacity` the last are kept.

    Raises:
      ValueError: transitions of another structure, shape or dtype, or with whole numbers that the
        ring's dtype does not have; or several rings, stacked.
      AssertionError: a mask of another shape or dtype.
    """
    _check_single(buffer, "add to")
    batch_shape = buffer.spec.batch_shape("transitions", transitions)
    if len(batch_shape) != 1:
        raise ValueError(f"transitions need exactly one leading axis, got {batch_shape}.")
    capacity, (count,) = buffer.capacity, batch_shape
    mask = jnp.ones(count, bool) if mask is None else jnp.asarray(mask)
    chex.assert_shape(mask, (count,))
    chex.assert_type(mask, bool)
    order = jnp.cumsum(mask) - 1
    added = jnp.sum(mask, dtype=jnp.int32)
    # Out-of-range indices are dropped: masked-out rows, and rows that later ones would overwrite
    # within this insert (so that every index is unique and the last write wins).
    kept = mask & (order >= added - capacity)
    index = jnp.where(kept, (buffer.position + order) % capacity, capacity)
    transitions = jax.tree.map(_held, transitions, buffer.spec.tree)
    packed = packing.pack(buffer.spec, transitions)
    rows = {
        # One that was loaded from a file may be NumPy's.
        dtype: jnp.asarray(old).at[index].set(packed[dtype], mode="drop")
        for dtype, old in buffer.rows.items()
    }
    return buffer.replace(
        rows=rows,
        position=(buffer.position + added) % capacity,
        size=jnp.minimum(buffer.size + added, capacity),
    )


def row(buffer: Buffer, index: jax.Array) -> PyTree:
    """The pytree of `init` that lies in one row.

    Raises:
      ValueError: several rings, stacked.
    """
    _check_single(buffer, "read")
    return packing.unpack(buffer.spec, {dtype: rows[index] for dtype, rows in buffer.rows.items()})


def sample(
    buffer: Buffer, key: jax.Array, batch_size: int, latest: jax.Array | None = None
) -> PyTree:
    """Draws transitions uniformly, with replacement.

    Args:
      buffer: a ring that holds at least `batch_size` transitions.
      key: PRNG key.
      batch_size: rows to draw, static.
      latest: int32 scalar, how many of the latest transitions alone to draw from, or all while
        there are fewer; None: all.

    Returns:
      The pytree of `init` with a leading axis (batch_size, ...). Under `jax.jit` the fill is not
      known: of an empty ring floats are then NaN, which `update` refuses and counts as skipped,
      and integers the lowest number of their dtype (the highest if it has no sign).

    Raises:
      TypeError: a key that is none.
      ValueError: more rows than the ring holds, under `jax.jit` than its capacity; `latest`
        below 1; or several rings, stacked.
    """
    _check_single(buffer, "draw from")
    if latest is not None and not is_traced(latest):
        _check_latest(latest)
    held = buffer.capacity if is_traced(buffer.size) else int(buffer.size)
    check_key(key)
    if not is_whole(batch_size) or not 1 <= batch_size <= held:
        raise ValueError(
            f"batch_size must be a whole number between 1 and the {held} transitions that replay "
            f"holds, got {batch_size!r}."
        )
    count = buffer.size if latest is None else jnp.minimum(latest, buffer.size)
    index = jax.random.randint(key, (batch_size,), 0, jnp.maximum(count, 1))
    if latest is not None:
        after_the_others = (buffer.position - count + index) % buffer.capacity
        index = jnp.where(count < buffer.size, after_the_others, index)
    # An empty ring has no row to give: an index out of range is filled in, floats with NaN.
    index = jnp.where(buffer.size > 0, index, buffer.capacity)
    drawn = {
        dtype: jnp.asarray(rows).at[index].get(mode="fill") for dtype, rows in buffer.rows.items()
    }
    return packing.unpack(buffer.spec, drawn)


def _check_single(buffer: Buffer, what: str) -> None:
    if jnp.ndim(buffer.size):
        raise ValueError(
            f"buffer holds {jnp.shape(buffer.size)} rings, stacked: {what} each by jax.vmap."
        )


def _check_latest(latest: Any) -> None:
    """Refuses what is no number of rows."""
    whole = is_whole(latest) or (
        jnp.shape(latest) == () and jnp.issubdtype(jnp.result_type(latest), jnp.integer)
    )
    if not whole or latest < 1:
        raise ValueError(f"latest must be a whole number from 1 on, got {latest!r}.")


def _held(leaf: Any, struct: jax.ShapeDtypeStruct) -> Any:
    """A leaf as the ring holds it, where its numbers are known."""
    return narrowed(leaf, struct.dtype) if isinstance(leaf, np.ndarray | np.generic) else leaf
