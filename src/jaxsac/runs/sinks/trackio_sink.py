"""Trackio: a run of theirs for each member, in one group, in a database on this machine."""

from __future__ import annotations

import contextlib
import contextvars
import io
import os
from typing import Any

from jaxsac import packages
from jaxsac.runs.sinks.sink import Target

TAKES_BACK = False
PROJECT = "jaxsac"


def check() -> None:
    """Raises `ModuleNotFoundError` where trackio is not installed."""
    _package()


class Streams:
    """The database lies where trackio has it; `TRACKIO_*` variables count."""

    def __init__(self, target: Target) -> None:
        """Opens them."""
        trackio = _package()
        project = os.environ.get("TRACKIO_PROJECT", PROJECT)
        self.where = f"trackio show --project {project} shows the run, group {target.group}."

        def begin(member: str, settings: dict[str, Any]) -> Any:
            return trackio.init(
                project, name=f"{target.group}/{member}", group=target.group, config=settings,
                resume="allow", embed=False, auto_log_gpu=False, auto_log_cpu=False,
            )  # fmt: skip

        with _quiet():
            # It ends the run before, unless that was begun in another context.
            self._runs = [
                contextvars.copy_context().run(begin, member, settings)
                for member, settings in zip(target.members, target.settings, strict=True)
            ]

    def write(self, place: int, rows: dict[int, dict[str, float]]) -> None:
        """Hands them to trackio's own thread, which writes them before long."""
        for index, row in rows.items():
            self._runs[index].log(row, step=place)

    def close(self) -> None:
        """Waits until they are written."""
        with _quiet():
            for run in self._runs:
                run.finish()


def _quiet() -> contextlib.redirect_stdout[io.StringIO]:
    """Without its lines for every run, which would tear the display."""
    return contextlib.redirect_stdout(io.StringIO())


def _package() -> Any:
    return packages.load("--log trackio", "trackio", "trackio")[0]
