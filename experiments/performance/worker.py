"""One process of one peer: `worker.py PEER WORKLOAD 0,1`, in its venv and on those cores."""

from __future__ import annotations

import importlib
import os
import sys

from meter import Meter


def main() -> None:
    """Pins the process, imports the peer and runs its workload until there are no more requests."""
    peer, workload, cores = sys.argv[1:]
    # Before any import that starts threads: they inherit it, and libraries size their pools by it.
    available = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {available[int(number)] for number in cores.split(",")})
    meter = Meter()
    module = importlib.import_module(f"peers.run_{peer}")
    meter.imported()
    module.WORKLOADS[workload](meter)


if __name__ == "__main__":
    main()
