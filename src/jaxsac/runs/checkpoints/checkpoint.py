"""Checkpoints: the bundles `checkpoints/<step>/` of a run, the last two of them kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jaxsac.runs.checkpoints import bundle
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.types import PyTree

KEPT = 2
"""Checkpoints that `save` leaves: the new one, and the one before in case it is damaged."""


def save(
    directory: Path,
    step: int,
    parts: Iterable[tuple[str, PyTree]],
    facts: dict[str, Any],
    kept: int = KEPT,
) -> None:
    """Writes `directory/<step>`, then removes all but the latest.

    Args:
      directory: the run's `checkpoints` folder.
      step: transitions per seed so far.
      parts: as `bundle.write` takes them.
      facts: JSON values to keep in the manifest.
      kept: how many remain, with this one.

    Raises:
      OSError: it could not be written; the checkpoints from before are untouched.
    """
    bundle.write(folder(directory, step), parts, facts)
    for old in steps(directory)[:-kept]:
        bundle.remove(folder(directory, old))


def steps(directory: Path) -> list[int]:
    """The steps that have a checkpoint, ascending."""
    folders = [p for p in directory.glob("*") if p.is_dir() and not p.is_symlink()]
    return sorted(int(p.name) for p in folders if re.fullmatch("0|[1-9][0-9]*", p.name))


def latest(directory: Path) -> int:
    """The highest step with a checkpoint.

    Raises:
      BundleError: there is none.
    """
    found = steps(directory)
    if not found and not directory.parent.is_dir():
        raise BundleError(f"{directory.parent} does not exist.")
    if not found:
        raise BundleError(
            f"{directory} holds no checkpoint: the run saved none yet, or they were removed."
        )
    return found[-1]


def verify(directory: Path, step: int) -> dict[str, Any]:
    """`bundle.verify` of the checkpoint of `step`."""
    return bundle.verify(folder(directory, step))


def load(
    directory: Path,
    step: int,
    part: str,
    template: PyTree,
    row: int | None = None,
    partial: bool = False,
) -> PyTree:
    """`bundle.load` from the checkpoint of `step`."""
    return bundle.load(folder(directory, step), part, template, row, partial)


def folder(directory: Path, step: int) -> Path:
    """Where the checkpoint of `step` lies."""
    return directory / str(step)
