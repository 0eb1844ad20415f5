"""TensorBoard: event files in the run directory, written by tensorboardX."""

from __future__ import annotations

import json
import shlex
from typing import Any

from jaxsac import packages
from jaxsac.runs.sinks.sink import Target

TAKES_BACK = True
FLUSH = 3600
"""Seconds; every row is flushed as it comes."""


def check() -> None:
    """Raises `ModuleNotFoundError` where tensorboardX is not installed."""
    _package()


class Streams:
    """A folder of event files for each member, `tensorboard/<member>` in the run directory."""

    def __init__(self, target: Target) -> None:
        """Opens them; what was written beyond their places is not shown any more."""
        make = _package().SummaryWriter
        folder = target.directory / "tensorboard"
        self.where = f"tensorboard --logdir {shlex.quote(str(folder))} shows the run."
        self._writers = [
            make(str(folder / member), purge_step=place + 1, flush_secs=FLUSH)
            for member, place in zip(target.members, target.places, strict=True)
        ]
        for writer, settings, place in zip(
            self._writers, target.settings, target.places, strict=True
        ):
            if place < 0:
                listed = json.dumps(settings, indent=2).replace("\n", "\n    ")
                writer.add_text("settings", f"    {listed}")

    def write(self, place: int, rows: dict[int, dict[str, float]]) -> None:
        """Writes them, so that they outlive the process."""
        for index, row in rows.items():
            for name, value in row.items():
                self._writers[index].add_scalar(name, value, place)
            self._writers[index].flush()

    def close(self) -> None:
        """Closes the files."""
        for writer in self._writers:
            writer.close()


def _package() -> Any:
    return packages.load("--log tensorboard", "tensorboard", "tensorboardX")[0]
