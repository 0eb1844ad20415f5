"""How the seed axis is laid out: over devices first, then mapped inside each.

This file alone decides it; everything else sees arrays with a leading seed axis.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Hashable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.stages import Wrapped

from jaxsac.sac.config import Config
from jaxsac.training.programs import kept
from jaxsac.types import PyTree, is_key

SEEDS = PartitionSpec("seeds")
UNSET = -1
BATCHED_ON_A_CORE = 4
"""Members that a CPU core learns faster with as a batch; at eight it is no faster."""


@dataclasses.dataclass(frozen=True)
class SeedAxis:
    """The leading axis of everything that learns: one row a member, as many on every device.

    Members that do not divide the devices leave rows over. Those repeat the last member, to no
    effect but the room they take; `pad` adds them on the way to the devices and `take` leaves them
    out on the way back.
    """

    num_members: int
    mesh: Mesh
    """Of the devices."""
    layout: str
    """How members share a device: "vmap" batches them, "map" takes one after the other."""

    @property
    def num_rows(self) -> int:
        """The length of the axis."""
        return -(-self.num_members // self.mesh.size) * self.mesh.size

    @property
    def sharding(self) -> NamedSharding:
        """Places the axis over the devices."""
        return NamedSharding(self.mesh, SEEDS)

    def pad(self, tree: PyTree) -> PyTree:
        """Rows for all places: (num_members, ...) -> (num_rows, ...); scalars as they are."""
        if self.num_rows == self.num_members:
            return tree
        member = np.minimum(np.arange(self.num_rows), self.num_members - 1)
        return jax.tree.map(lambda x: x[member] if np.ndim(x) else x, tree)

    def take(self, tree: PyTree) -> PyTree:
        """The rows of the members: (num_rows, ...) -> (num_members, ...)."""
        if self.num_rows == self.num_members:
            return tree
        # On the host, where a slice needs no program of its own; keys are JAX arrays alone.
        return jax.tree.map(lambda x: (x if is_key(x) else np.asarray(x))[: self.num_members], tree)

    def place(self, tree: PyTree) -> PyTree:
        """Puts the rows of the members onto the devices."""
        return jax.device_put(self.pad(tree), self.sharding)

    def structs(self, tree: PyTree) -> PyTree:
        """Structs of `place(tree)`, by those of the rows of the members."""
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(
                (self.num_rows, *x.shape[1:]), x.dtype, sharding=self.sharding
            ),
            tree,
        )

    def on_host(self) -> SeedAxis:
        """The same members on a processor beside their accelerators; as they are without one."""
        if self.mesh.devices.flat[0].platform == "cpu":
            return self
        try:
            processor = jax.local_devices(backend="cpu")[:1]
        except RuntimeError:  # JAX_PLATFORMS leaves it out
            return self
        return SeedAxis(self.num_members, Mesh(np.array(processor), ("seeds",)), "vmap")

    def move(self, tree: PyTree, other: SeedAxis) -> PyTree:
        """Puts what is on these devices onto those of another axis of the same members."""
        # Fetched first, so that all arrays are on their way at once.
        return tree if other == self else other.place(self.take(jax.device_get(tree)))

    def share(self, tree: PyTree) -> PyTree:
        """Puts what all members have in common onto the devices."""
        return jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec()))

    @property
    def over_members(self) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Makes a function of one member one of a device's own share of the axis."""
        if self.num_rows == self.mesh.size:
            return _alone
        return _one_after_the_other if self.layout == "map" else jax.vmap

    def compile(
        self, function: Callable[..., Any], num_shared: int = 0, donate: tuple[int, ...] = ()
    ) -> Wrapped:
        """Compiles a function of arrays with a leading seed axis for the devices.

        Args:
          function: all arguments and results have a leading seed axis, but the last arguments.
          num_shared: how many of the last arguments are shared by all members.
          donate: argument numbers whose buffers may be reused.
        """

        @functools.partial(jax.jit, donate_argnums=donate)
        def compiled(*args: Any) -> Any:
            specs = (SEEDS,) * (len(args) - num_shared) + (PartitionSpec(),) * num_shared
            sharded = jax.shard_map(
                function, mesh=self.mesh, in_specs=specs, out_specs=SEEDS, check_vma=False
            )
            return sharded(*args)

        return compiled

    def program(
        self,
        function: Callable[..., Any],
        num_shared: int = 0,
        donate: tuple[int, ...] = (),
        **static: Hashable,
    ) -> Wrapped:
        """`compile`, for a function that other runs of this process compile too.

        Args:
          function: as in `compile`; defined in a module, so that it is the same for each run.
          num_shared: as in `compile`.
          donate: as in `compile`.
          **static: keyword arguments of the function, as in `programs.kept`.
        """
        return _program(self, function, num_shared, donate, tuple(static.items()))

    def compile_start(self, function: Callable[..., Any]) -> Wrapped:
        """Compiles a function that runs once, and whose results have a leading seed axis.

        On a CPU with few of the compiler's optimizations, which would take longer than they save.
        """
        on_cpu = self.mesh.devices.flat[0].platform == "cpu"
        fewer_already = jax.config.values["jax_disable_most_optimizations"]
        few = {"xla_backend_optimization_level": 1} if on_cpu and not fewer_already else None
        return jax.jit(function, out_shardings=self.sharding, compiler_options=few)

    def describe(self) -> str:
        """One line for a person."""
        devices, each = self.mesh.devices.flat, self.num_rows // self.mesh.size
        text = _count(self.num_members, "member") + " on " + _count(len(devices), "device")
        text += f" ({devices[0].device_kind})"
        if each > 1:
            how = "one after the other" if self.layout == "map" else "batched"
            text += f", {each} on each, {how}"
        spare = self.num_rows - self.num_members
        return text + (f", {_count(spare, 'place')} left over" if spare else "")


def configure_host_devices(num_members: int) -> None:
    """Gives JAX one CPU device per core that a group of members can fill.

    Two members on two single-core devices learn faster than one after the other on both cores; of
    three a place would be left over. A process that has computed already keeps the devices it has,
    and a number that was set before is respected.
    """
    if jax.config.values["jax_num_cpu_devices"] == UNSET:
        with contextlib.suppress(RuntimeError):  # raised once JAX has computed
            jax.config.update("jax_num_cpu_devices", _cpu_devices(num_members, num_cores()))


def axis(num_members: int, layout: str = "auto", agent: Config = Config()) -> SeedAxis:
    """The axis over this process's default devices.

    Args:
      num_members: of the population.
      layout: "vmap", "map" or "auto". "auto" batches, but on a CPU for more than a few members on a
        core, whose working set outgrows its cache, and for networks that normalize by batches
        (experiments/seed_scaling).
      agent: what the members are.

    Raises:
      ValueError: JAX has no device of the platforms that it is told to use.
    """
    devices = local_devices()
    mesh = Mesh(np.array(devices[: _as_many_as_help(num_members, len(devices))]), ("seeds",))
    if layout == "auto":
        slow_as_batch = num_members > BATCHED_ON_A_CORE * mesh.size or agent.normalizes_by_batch
        layout = "map" if slow_as_batch and devices[0].platform == "cpu" else "vmap"
    return SeedAxis(num_members, mesh, layout)


def local_devices() -> list[Any]:
    """JAX's devices of this process.

    Raises:
      ValueError: as `axis`.
    """
    try:
        return jax.local_devices()
    except (AssertionError, RuntimeError) as error:  # an assertion where a plugin is missing
        platforms = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
        if not platforms:
            raise
        raise ValueError(
            f"JAX_PLATFORMS is set to {platforms!r}, of which JAX finds no device here: unset it "
            "to use what there is, or install JAX for that platform (docs/gpu.md)."
        ) from error


@kept
def _program(
    axis: SeedAxis,
    function: Callable[..., Any],
    num_shared: int,
    donate: tuple[int, ...],
    static: tuple[tuple[str, Hashable], ...],
) -> Wrapped:
    return axis.compile(functools.partial(function, **dict(static)), num_shared, donate)


def _alone(function: Callable[..., Any]) -> Callable[..., Any]:
    # Not a vmap over one member: the compiler then leaves weight gradients transposed, which makes
    # an update on a CPU 10 % slower.
    def alone(*args: Any) -> Any:
        result = function(*jax.tree.map(lambda x: x[0], args))
        return jax.tree.map(lambda x: x[None], result)

    return alone


def _one_after_the_other(function: Callable[..., Any]) -> Callable[..., Any]:
    def mapped(*args: Any) -> Any:
        return jax.lax.map(lambda member: function(*member), args)

    return mapped


def _cpu_devices(num_members: int, cores: int) -> int:
    """One for each core, unless a quarter of the places would be left over, as of 3 on 2 cores.

    The cores together then learn one member after the other faster (experiments/seed_scaling).
    """
    devices = _as_many_as_help(num_members, cores)
    places = devices * -(-num_members // devices)
    return 1 if 3 * places >= 4 * num_members else devices


def _as_many_as_help(num_members: int, num_devices: int) -> int:
    """The fewest devices on which none has more members than it would have among them all."""
    each = -(-num_members // num_devices)
    return -(-num_members // each)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def num_cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
