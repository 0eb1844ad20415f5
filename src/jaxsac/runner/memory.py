"""Whether replay fits, said before anything is allocated."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxsac.data import replay
from jaxsac.runner.config import RunConfig
from jaxsac.types import PyTree

RESERVE = 0.1
"""Share of the free memory left to everything that is not replay."""


class ReplayPlan(NamedTuple):
    """The bytes of all seeds' replay."""

    population: int
    member: replay.Plan
    available: int

    def describe(self) -> str:
        """One line for a person."""
        total = self.population * self.member.total_bytes
        return (
            f"replay: {self.population} × {self.member.capacity:,} transitions × "
            f"{self.member.bytes_per_transition} B = {human(total)}, "
            f"{human(self.available)} free"
        )


def plan_replay(config: RunConfig, transition: PyTree) -> ReplayPlan:
    """The plan of a run's replay.

    Raises:
      MemoryError: it does not fit into the device's free memory; names the capacity that would.
    """
    member = replay.plan(config.replay_capacity, transition)
    plan = ReplayPlan(config.population, member, available_bytes(jax.devices()[0]))
    usable = int(plan.available * (1 - RESERVE))
    if config.population * member.total_bytes > usable:
        fits = usable // (config.population * member.bytes_per_transition)
        raise MemoryError(
            f"{plan.describe()}: that does not fit. A replay_capacity of {fits:,} would; fewer "
            "seeds or smaller observations also help."
        )
    return plan


def available_bytes(device: Any) -> int:
    """Free memory of a device; for a CPU the machine's, within the limit of the control group."""
    stats = None if device.platform == "cpu" else device.memory_stats()
    if stats:
        return stats["bytes_limit"] - stats["bytes_in_use"]
    import psutil

    free = psutil.virtual_memory().available
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
    except (OSError, ValueError):  # no control group, or "max": no limit
        return free
    return min(free, limit - used)


def human(count: float) -> str:
    """A number of bytes for a person."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
