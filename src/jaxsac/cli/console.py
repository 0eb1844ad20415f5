"""Where tables are printed."""

from __future__ import annotations

from typing import NoReturn

import rich.console


class Console(rich.console.Console):
    """Rich's, but a reader who has gone is Python's error, as of all that is printed."""

    def on_broken_pipe(self) -> NoReturn:
        """Raises what is being handled; Rich would end the program with the status 1."""
        raise
