"""How the seed axis is laid out: over devices first, then mapped inside each.

This file alone decides it; everything else sees arrays with a leading seed axis.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

SEEDS = PartitionSpec("seeds")
UNSET = -1


def configure_host_devices(num_seeds: int) -> None:
    """Gives JAX one CPU device per core that a group of seeds can fill.

    Two seeds on two single-core devices learn faster than one after the other on both cores. A
    process that has computed already keeps the devices it has, and a number that was set before
    is respected.
    """
    if jax.config.values["jax_num_cpu_devices"] == UNSET:
        with contextlib.suppress(RuntimeError):  # raised once JAX has computed
            jax.config.update("jax_num_cpu_devices", _largest_divisor(num_seeds, _num_cores()))


def mesh_for(num_seeds: int) -> Mesh:
    """A mesh over as many of the default devices as divide the seeds evenly."""
    devices = jax.devices()
    return Mesh(np.array(devices[: _largest_divisor(num_seeds, len(devices))]), ("seeds",))


def sharding(mesh: Mesh) -> NamedSharding:
    """Places a leading seed axis over the mesh."""
    return NamedSharding(mesh, SEEDS)


def over_seeds(
    mesh: Mesh, layout: str = "auto"
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """How a function of one seed runs over a device's own share of the seed axis.

    Args:
      mesh: from `mesh_for`.
      layout: "vmap" batches, "map" runs one seed after the other. "auto" batches on accelerators;
        a CPU core runs one after the other: its matrix products are fast already, and batching
        them only makes the working set larger.
    """
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    return _one_after_the_other if layout == "map" or (layout == "auto" and on_cpu) else jax.vmap


def compile_over_seeds(
    function: Callable[..., Any], mesh: Mesh, num_shared: int = 0, donate: tuple[int, ...] = ()
) -> Callable[..., Any]:
    """Compiles a function of arrays with a leading seed axis for the mesh.

    Args:
      function: all arguments and results have a leading seed axis, but the last arguments.
      mesh: from `mesh_for`.
      num_shared: how many of the last arguments are shared by all seeds.
      donate: argument numbers whose buffers may be reused.
    """

    @functools.partial(jax.jit, donate_argnums=donate)
    def compiled(*args: Any) -> Any:
        specs = (SEEDS,) * (len(args) - num_shared) + (PartitionSpec(),) * num_shared
        sharded = jax.shard_map(
            function, mesh=mesh, in_specs=specs, out_specs=SEEDS, check_vma=False
        )
        return sharded(*args)

    return compiled


def _one_after_the_other(function: Callable[..., Any]) -> Callable[..., Any]:
    def mapped(*args: Any) -> Any:
        return jax.lax.map(lambda member: function(*member), args)

    return mapped


def _largest_divisor(number: int, limit: int) -> int:
    return max(d for d in range(1, limit + 1) if number % d == 0)


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
