"""The rings of all members in a checkpoint: of transitions, and of the frames that those show.

Each member's is a part of its own, with its filled rows only, and one at a time is in memory: a
copy of all might not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jaxsac.training.seed_axis import SeedAxis

Rows = dict[str, Any]
"""By dtype name: arrays or structs (..., rows, width)."""

_member = jax.jit(lambda rows, index: rows[index])


def replay_part(member: str) -> str:
    """What the part with the transitions of a member is called."""
    return f"replay-{member}"


def frames_part(member: str) -> str:
    """What the part with their frames is called, where observations are stacked."""
    return f"frames-{member}"


def parts(
    rows: Rows, name: Callable[[str], str], members: Sequence[str], sizes: Sequence[int]
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """The parts of all members, one after the other.

    Args:
      rows: (S, capacity, width).
      name: of a member's part.
      members: their names.
      sizes: how many rows of each are filled.
    """
    # Places left over come last.
    for member, size, ring in zip(members, sizes, _each(rows), strict=False):
        yield name(member), {dtype: array[:size] for dtype, array in ring.items()}


def filled(structs: Rows, size: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Structs of a member's part, by those of the rings."""
    return {
        dtype: jax.ShapeDtypeStruct((size, x.shape[-1]), x.dtype) for dtype, x in structs.items()
    }


def place(
    structs: Rows,
    members: Sequence[str],
    rows_of: Callable[[str], dict[str, np.ndarray]],
    axis: SeedAxis,
) -> dict[str, jax.Array]:
    """The rings of all members on their devices.

    Args:
      structs: (S, capacity, width).
      members: their names.
      rows_of: reads the filled rows of a member.
      axis: how they are laid out.
    """
    shards: dict[str, list[jax.Array]] = {dtype: [] for dtype in structs}
    names = axis.pad(np.array(members))
    places = axis.sharding.addressable_devices_indices_map((axis.num_rows,))
    for device, index in places.items():
        mine = names[index]
        rings = {
            dtype: np.zeros((len(mine), *struct.shape[1:]), struct.dtype)
            for dtype, struct in structs.items()
        }
        for row, member in enumerate(mine):
            for dtype, there in rows_of(member).items():
                rings[dtype][row, : len(there)] = there
        for dtype, ring in rings.items():
            shards[dtype].append(jax.device_put(ring, device))
    return {
        dtype: jax.make_array_from_single_device_arrays(
            (axis.num_rows, *struct.shape[1:]), axis.sharding, shards[dtype]
        )
        for dtype, struct in structs.items()
    }


def _each(rows: Rows) -> Iterator[dict[str, np.ndarray]]:
    """The ring of one seed after the other, from the device that holds it."""
    for shards in zip(*map(_shards, rows.values()), strict=True):
        for index in range(len(shards[0])):
            members = [np.asarray(_member(shard, index)) for shard in shards]
            yield dict(zip(rows, members, strict=True))


def _shards(array: jax.Array) -> list[jax.Array]:
    """The parts of an array that lie on one device each, in the order of the seeds."""
    shards = sorted(array.addressable_shards, key=lambda shard: shard.index[0].start or 0)
    return [shard.data for shard in shards]
