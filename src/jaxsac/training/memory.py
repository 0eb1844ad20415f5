"""Whether a population fits into memory, said before anything is allocated."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
from jax.stages import Compiled

from jaxsac.data.frames import Frames
from jaxsac.sac.encoders import is_image
from jaxsac.training import control_group
from jaxsac.training.carry import Carry
from jaxsac.training.seed_axis import SeedAxis
from jaxsac.types import PyTree

RESERVE = 0.1
"""Share of the free memory left to the work of an update, and to everything else."""


class Plan(NamedTuple):
    """The bytes of a population, where they have to fit together."""

    members: int
    """That share one memory, with the places left over."""
    learner_bytes: int
    """Of one member, without its replay."""
    work_bytes: int
    """Of an update of all, beside the learners."""
    capacity: int
    """Transitions that the replay of one member holds."""
    replay_bytes: int
    """Of the replay of one member."""
    available: int
    """Free bytes of one memory."""
    prior_bytes: int = 0
    """Of the prior data in this memory, which members share."""
    spare_bytes: int = 0
    """Of the replay of one member, whatever its capacity."""
    frame_stack: int = 1
    """Observations that an agent sees at once, of which replay holds each once."""

    @property
    def transition_bytes(self) -> int:
        """Of each transition, with its share of the frames, rounded up."""
        return -(-(self.replay_bytes - self.spare_bytes) // self.capacity)

    @property
    def member_bytes(self) -> int:
        """Of one member."""
        return self.learner_bytes + self.replay_bytes

    @property
    def total_bytes(self) -> int:
        """Of all, at the most: a checkpoint copies the replay of one member after the other."""
        each = self.members * self.member_bytes
        return each + self.work_bytes + self.replay_bytes + self.prior_bytes

    def describe(self) -> str:
        """One line for a person."""
        return (
            f"memory: {self.members} × {human(self.member_bytes)} + {human(self.work_bytes)} for "
            f"updates + {human(self.replay_bytes)} for checkpoints"
            + f" + {human(self.prior_bytes)} for prior data"
            * bool(self.prior_bytes)
            + f" = {human(self.total_bytes)}, "
            f"{human(self.available)} free; replay of a member: {self.capacity:,} transitions of "
            f"{self.transition_bytes} B"
            + f", each observation of their stacks of {self.frame_stack} stored once"
            * (self.frame_stack > 1)
        )


def plan(
    axis: SeedAxis, learning: Carry, prior_bytes: int = 0, program: Compiled | None = None
) -> Plan:
    """`measure` of a population that is not there yet, and has to fit into what is free.

    Raises:
      MemoryError: it does not; names what would.
    """
    found = measure(axis, learning, prior_bytes, program)
    usable = int(found.available * (1 - RESERVE))
    if found.total_bytes > usable:
        num_memories = axis.num_rows // found.members
        each = found.member_bytes + found.work_bytes // found.members
        population = max(usable - found.replay_bytes - found.prior_bytes, 0) // each * num_memories
        population -= population % axis.mesh.size if population > axis.mesh.size else 0
        left = usable - found.members * found.learner_bytes - found.work_bytes - found.prior_bytes
        transitions = (left // (found.members + 1) - found.spare_bytes) // found.transition_bytes
        smaller = {
            f"a population of {population:,} members": population,
            f"a replay_capacity of {transitions:,}": transitions,
        }
        fitting = [text for text, count in smaller.items() if count > 0]
        would = f" What would: {' or '.join(fitting)}." if fitting else ""
        raise MemoryError(f"{found.describe()}: that does not fit.{would}")
    return found


def measure(
    axis: SeedAxis, learning: Carry, prior_bytes: int = 0, program: Compiled | None = None
) -> Plan:
    """The memory that a population needs.

    Args:
      axis: how it is laid out.
      learning: structs of the learners, one row for each member.
      prior_bytes: of prior data, of which there is one copy on each device.
      program: that learns, whose compiler knows what an update holds (see `needs_program`). Without
        it, that is taken to be an agent for each at work: until the new one is known to be finite,
        it is beside the old.
    """
    device = axis.mesh.devices.flat[0]
    num_memories = 1 if device.platform == "cpu" else axis.mesh.size
    num_members, capacity = axis.num_members, learning.buffer.capacity
    replay_bytes = num_bytes(learning.replay_arrays) // num_members
    work_bytes = _new_agents(axis, learning) if program is None else _beside_arguments(program)
    spare_bytes, frame_stack = _of_frames(learning.frames)
    return Plan(
        members=axis.num_rows // num_memories,
        learner_bytes=num_bytes(learning) // num_members - replay_bytes,
        work_bytes=axis.mesh.size // num_memories * work_bytes,
        capacity=capacity,
        replay_bytes=replay_bytes,
        available=available_bytes(device),
        prior_bytes=axis.mesh.size // num_memories * prior_bytes,
        spare_bytes=spare_bytes,
        frame_stack=frame_stack,
    )


def needs_program(learning: Carry) -> bool:
    """Whether an update holds much more than agents: the activations of images."""
    return any(map(is_image, learning.agent.observation_spec.leaves))


def _new_agents(axis: SeedAxis, learning: Carry) -> int:
    """Bytes of the agents that are at work on a device: one, where it takes one after the other."""
    at_work = 1 if axis.layout == "map" else axis.num_rows // axis.mesh.size
    return at_work * num_bytes(learning.agent) // axis.num_members


def _beside_arguments(program: Compiled) -> int:
    """Bytes that a program takes on a device, but for what it is given."""
    held: Any = program.memory_analysis()
    return held.temp_size_in_bytes + held.output_size_in_bytes - held.alias_size_in_bytes


def _of_frames(frames: Frames | tuple[()]) -> tuple[int, int]:
    """Bytes that do not depend on the capacity, and observations of a stack."""
    return (frames.spare_bytes, frames.shown.shape[-1]) if frames else (0, 1)


def num_bytes(structs: PyTree) -> int:
    """Of all leaves."""
    leaves = jax.tree.leaves(structs)
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)


def available_bytes(device: Any) -> int:
    """Free memory of a device; for a CPU the machine's, within the limit of the control group."""
    stats = None if device.platform == "cpu" else device.memory_stats()
    if stats:
        return stats["bytes_limit"] - stats["bytes_in_use"]
    import psutil

    return int(min(psutil.virtual_memory().available, control_group.free_bytes()))


def human(count: float) -> str:
    """A number of bytes for a person."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
