"""Updates that were not finite, as the flight recorder kept them, on disk."""

from __future__ import annotations

from pathlib import Path

import jax

from jaxsac.runs.checkpoints import bundle
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.directory.releases import versions
from jaxsac.training import flight_recorder
from jaxsac.training.carry import Carry
from jaxsac.training.flight_recorder import Failure


def record(directory: Path, members: list[str], step: int, carry: Carry) -> list[Path]:
    """Writes the failures that the learners carry and that have not been written before.

    Args:
      directory: the run's `failures` folder.
      members: their names.
      step: transitions per seed so far.
      carry: leading axis S.

    Returns:
      What was written: a bundle for each failure.

    Raises:
      OSError: it could not be written.
    """
    failed = jax.device_get(carry.failure.size)
    written = []
    for index, member in enumerate(members):
        folder = directory / member
        if failed[index] and not folder.exists():
            failure = flight_recorder.of_member(carry.failure, index)
            bundle.write(folder, [("failure", failure)], {"versions": versions(), "step": step})
            written.append(folder)
    return written


def load(folder: Path, carry: Carry) -> Failure:
    """Reads a failure that `record` has written.

    Args:
      folder: the bundle.
      carry: of the run, or structs of it.

    Raises:
      BundleError: it is missing, damaged or of another run.
    """
    if not folder.is_dir():
        raise BundleError(f"{folder} does not exist: no update of that seed has failed there.")
    return bundle.load(folder, "failure", carry.failure.spec.tree)
