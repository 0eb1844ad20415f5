"""A sweep over the processes of `jax.distributed`: hosts of a TPU pod, or of GPUs.

Members need nothing from each other, so each process trains its own parts on its own devices.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

import jax
from rich.console import Console

from jaxsac.runs.interrupt import Interrupt
from jaxsac.sweeps.launch import POLL_SECONDS, is_complete
from jaxsac.sweeps.plan import Group
from jaxsac.sweeps.progress import SweepProgress


def join(coordinator: str | None, processes: int | None, process_id: int | None) -> tuple[int, int]:
    """Meets the other processes; must come before anything that JAX computes.

    Once all have their devices they part again: the service that holds them together would
    otherwise end all of them when one is lost.

    Args:
      coordinator: host:port of process 0.
      processes: how many there are.
      process_id: which one this is. All are detected where none is given, on a TPU pod or under
        Slurm for instance.

    Returns:
      The number of this process, and how many there are.

    Raises:
      ValueError: nothing was given, and nothing can be detected.
    """
    try:
        jax.distributed.initialize(coordinator, processes, process_id)
    except ValueError as error:
        raise ValueError(
            "the processes of --launcher jax cannot be detected here: give --coordinator "
            f"host:port, --workers and --process-id ({error})."
        ) from error
    found = jax.process_index(), jax.process_count()
    jax.distributed.shutdown()
    # JAX has taken SIGTERM, to tell its service of it, and keeps it.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    return found


def wait(parts: list[Group], directory: Path, console: Console) -> bool:
    """Waits until every process has trained its parts; a host of a pod may not leave before.

    Returns:
      Whether all are complete; False when Ctrl-C or SIGTERM ended it.
    """
    with Interrupt() as stop, SweepProgress(parts, directory, console) as progress:
        while not all(is_complete(part, directory) for part in parts):
            if stop.requested:
                return False
            progress.show()
            time.sleep(POLL_SECONDS)
    return True
