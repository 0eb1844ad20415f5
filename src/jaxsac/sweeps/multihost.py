"""A sweep over the processes of `jax.distributed`: hosts of a TPU pod, or of GPUs.

Members need nothing from each other, so each process trains its own parts on its own devices.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import jax
from rich.console import Console

from jaxsac.runs import files
from jaxsac.runs.process.interrupt import Interrupt
from jaxsac.sweeps.launch import POLL_SECONDS, LaunchError, is_complete
from jaxsac.sweeps.plan import Group
from jaxsac.sweeps.progress import SweepProgress

FAILED = ".failed"
"""What ends the name of a file that says how a process has failed."""


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


def forget_failures(directory: Path) -> None:
    """Removes what `telling_others` has left; before `join`, for which all processes meet."""
    for file in directory.glob(f"*{FAILED}"):
        file.unlink(missing_ok=True)


@contextlib.contextmanager
def telling_others(directory: Path, index: int) -> Iterator[None]:
    """What this process raises is left where `wait` of the others finds it."""
    try:
        yield
    except Exception as error:
        text = f"process {index} failed: {type(error).__name__}: {error}"
        with contextlib.suppress(OSError):  # what has been raised is what matters
            directory.mkdir(parents=True, exist_ok=True)
            files.write(directory / f"process-{index}{FAILED}", text.encode())
        raise


def wait(parts: list[Group], directory: Path, console: Console) -> bool:
    """Waits until every process has trained its parts; a host of a pod may not leave before.

    Returns:
      Whether all are complete; False when Ctrl-C or SIGTERM ended it.

    Raises:
      LaunchError: another process has failed.
    """
    with Interrupt() as stop, SweepProgress(parts, directory, console) as progress:
        while not all(is_complete(part, directory) for part in parts):
            if stop.requested:
                return False
            if failed := sorted(directory.glob(f"*{FAILED}")):
                raise LaunchError("\n".join(file.read_text() for file in failed))
            progress.show()
            time.sleep(POLL_SECONDS)
    return True
