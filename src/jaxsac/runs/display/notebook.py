"""What a notebook shows: something drawn in one place again and again, and figures."""

from __future__ import annotations

import importlib
import io
import threading
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.jupyter import JupyterMixin

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SECONDS = 1.0
"""Between two drawings: each is a message to the browser."""


class Cell(JupyterMixin):
    """As `rich.live.Live`, which in a notebook needs ipywidgets: this needs IPython alone."""

    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable
        self._handle: Any = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._draw, daemon=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._renderable

    def start(self) -> None:
        """Takes its place below what the cell holds already, and is drawn every second."""
        display = importlib.import_module("IPython.display").display
        self._handle = display(self, display_id=True)
        self._thread.start()

    def refresh(self) -> None:
        """Draws it now."""
        self._handle.update(self)

    def stop(self) -> None:
        """Draws it for the last time."""
        self._over.set()
        self._thread.join()
        self.refresh()

    def _draw(self) -> None:
        while not self._over.wait(SECONDS):
            self.refresh()


def shown(figure: Figure) -> Figure:
    """A figure that a cell shows; else it does so only where matplotlib's pyplot is imported."""

    def png() -> bytes:
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=100)
        return file.getvalue()

    setattr(figure, "_repr_png_", png)  # noqa: B010 (a name of IPython's)
    return figure
