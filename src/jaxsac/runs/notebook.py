"""Something drawn in one place of a notebook's cell, again and again."""

from __future__ import annotations

import importlib
import time
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.jupyter import JupyterMixin

SECONDS = 0.5
"""Between two drawings: each is a message to the browser."""


class Cell(JupyterMixin):
    """As `rich.live.Live`, which in a notebook needs ipywidgets: this needs IPython alone."""

    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable
        self._handle: Any = None
        self._drawn = 0.0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._renderable

    def start(self) -> None:
        """Takes its place below what the cell holds already."""
        display = importlib.import_module("IPython.display").display
        self._handle, self._drawn = display(self, display_id=True), time.monotonic()

    def refresh(self) -> None:
        """Draws it again, if the last time was long enough ago."""
        if time.monotonic() - self._drawn > SECONDS:
            self.stop()

    def stop(self) -> None:
        """Draws it for the last time."""
        self._drawn = time.monotonic()
        self._handle.update(self)
