"""The flight recorder: each member's first update that was not finite, kept to be repeated."""

from __future__ import annotations

from pathlib import Path

import jax

from jaxsac.data import replay
from jaxsac.runner import bundle, loop
from jaxsac.runner.run_directory import versions


def record(directory: Path, members: list[str], step: int, carry: loop.Carry) -> list[Path]:
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
            failure = of_member(carry, index)
            bundle.write(folder, [("failure", failure)], {"versions": versions(), "step": step})
            written.append(folder)
    return written


def load(folder: Path, carry: loop.Carry) -> loop.Failure:
    """Reads a failure that `record` has written.

    Args:
      folder: the bundle.
      carry: of the run, or structs of it.

    Raises:
      BundleError: it is missing, damaged or of another run.
    """
    bundle.verify(folder)
    return bundle.load(folder, "failure", carry.failure.spec.tree)


def of_member(carry: loop.Carry, index: int) -> loop.Failure:
    """The failure of one seed, which must have one."""
    ring = jax.tree.map(lambda rows: rows[index], carry.failure)
    # Of one row there is one sample.
    return jax.tree.map(lambda rows: rows[0], replay.sample(ring, jax.random.key(0), 1))
