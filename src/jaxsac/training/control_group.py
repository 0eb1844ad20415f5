"""What a container or a job of a cluster may use of the machine's memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

# Of a folder: its limit, what is used, and the name in `memory.stat` of the part of that which the
# system takes back when memory is short: the cache of files that were read.
VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
VERSION_2 = ("memory.max", "memory.current", "inactive_file")


def free_bytes(root: Path = Path("/")) -> float:
    """What the control group of this process, and those that it lies in, have left; ∞: no limit.

    Args:
      root: of the file system.
    """
    return min((_left(*group) for group in _groups(root)), default=math.inf)


def _groups(root: Path) -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """The folders of the groups with memory that this process is in, the innermost first."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        inside = mount / path.lstrip("/")
        for folder in (inside, *inside.parents):
            if folder.is_relative_to(mount):
                yield folder, VERSION_1 if controllers else VERSION_2


def _left(folder: Path, names: tuple[str, str, str]) -> float:
    limit_name, used_name, cache_name = names
    try:
        limit, used = (int((folder / name).read_text()) for name in (limit_name, used_name))
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # not seen from within a container, or "max": no limit
        return math.inf
    return limit - used + int(stat.get(cache_name, 0))
