"""What a step passes between processes, in memory that they share.

The memory has no name, so nothing of it is left behind, however its processes end.
"""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import jax
import numpy as np
from gymnasium import Space

from jaxsac.envs.copies.group import Stepped
from jaxsac.envs.spaces import action_map, observation_example

ALIGNMENT = 64
"""Bytes of a cache line: arrays begin where one does."""


class StepMemory(NamedTuple):
    """A step of N copies: all arrays are in memory that other processes read and write too."""

    actions: np.ndarray
    """(N, ...), in the environment's own units."""
    stepped: Stepped

    def rows(self, part: slice) -> StepMemory:
        """The same memory, of some copies."""
        return jax.tree.map(lambda array: array[part], self)


class Layout(NamedTuple):
    """What is to be shared: plain data, the same in all processes."""

    observation_space: Space[Any]
    action_space: Space[Any]
    copies: int
    """N."""

    def structs(self) -> StepMemory:
        """Structs of all arrays.

        Raises:
          SpaceError: spaces that cannot be learned on.
        """
        number, flag = _struct((), np.float32), _struct((), bool)
        action = action_map(self.action_space)
        observation = observation_example(self.observation_space)
        return jax.tree.map(
            lambda one: jax.ShapeDtypeStruct((self.copies, *one.shape), one.dtype),
            StepMemory(
                _struct(action.shape, action.dtype), Stepped(observation, number, flag, flag)
            ),
        )

    def allocate(self) -> int:
        """A file descriptor of memory that holds all arrays.

        Raises:
          OSError: there is no room for it.
        """
        if hasattr(os, "memfd_create"):
            file = os.memfd_create("jaxsac steps")
        else:  # macOS
            with tempfile.TemporaryFile() as unnamed:
                file = os.dup(unnamed.fileno())
        size = self._offsets()[-1]
        try:
            if hasattr(os, "posix_fallocate"):  # all of it now: none that is missing in a step
                os.posix_fallocate(file, 0, size)
            else:
                os.ftruncate(file, size)
        except BaseException:
            os.close(file)
            raise
        return file

    def attach(self, file: int) -> StepMemory:
        """The arrays in the memory of a descriptor, which is not needed any longer then."""
        structs, treedef = jax.tree.flatten(self.structs())
        *offsets, size = self._offsets()
        memory = mmap.mmap(file, size)
        arrays = [
            np.ndarray(struct.shape, struct.dtype, memory, offset)
            for struct, offset in zip(structs, offsets, strict=True)
        ]
        return jax.tree.unflatten(treedef, arrays)

    def _offsets(self) -> list[int]:
        """Where each array begins, and at last the size of all."""
        offsets = [0]
        for struct in jax.tree.leaves(self.structs()):
            bytes_ = math.prod(struct.shape) * struct.dtype.itemsize
            offsets.append(offsets[-1] + -(-bytes_ // ALIGNMENT) * ALIGNMENT)
        return offsets


def _struct(shape: tuple[int, ...], dtype: Any) -> Any:
    return jax.ShapeDtypeStruct(shape, dtype)


def send(connection: Connection, process: int | None, file: int) -> None:
    """Sends a descriptor to the process at the other end."""
    reduction.send_handle(connection, file, process)


def receive(connection: Connection, layout: Layout) -> StepMemory:
    """The memory whose descriptor comes next."""
    file = reduction.recv_handle(connection)
    try:
        return layout.attach(file)
    finally:
        os.close(file)
