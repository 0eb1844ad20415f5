"""The flight recorder: each seed's first update that was not finite, kept to be repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax

from jaxsac.runner import bundle, loop
from jaxsac.runner.run_directory import versions


def path(directory: Path, member: int) -> Path:
    """Where the failure of seed number `member` lies in a run's `failures` folder."""
    return directory / f"seed-{member:04d}"


def record(directory: Path, members: list[int], step: int, carry: loop.Carry) -> list[Path]:
    """Writes the failures that the learners carry and that have not been written before.

    Args:
      directory: the run's `failures` folder.
      members: the seed numbers.
      step: transitions per seed so far.
      carry: leading axis S.

    Returns:
      What was written: a bundle for each failure.

    Raises:
      OSError: it could not be written.
    """
    skipped = jax.device_get(carry.agent.skipped)
    written = []
    for index, member in enumerate(members):
        folder = path(directory, member)
        if skipped[index] and not folder.exists():
            failure = jax.tree.map(lambda rows, index=index: rows[index], carry.failure)
            bundle.write(folder, [("failure", failure)], {"versions": versions(), "step": step})
            written.append(folder)
    return written


def load(folder: Path, template: Any) -> loop.Failure:
    """Reads a failure that `record` has written.

    Args:
      folder: the bundle.
      template: structs of one failure.

    Raises:
      BundleError: it is missing, damaged or of another run.
    """
    bundle.verify(folder)
    return bundle.load(folder, "failure", template)
