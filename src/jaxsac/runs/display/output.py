"""Standard output of a run, which goes on where nobody reads it any longer."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any


class Output:
    """A file to write to until that fails, such as a pipe or a terminal that has been closed."""

    def __init__(self) -> None:
        # None where whoever started this has closed it, as some services do.
        self._file = sys.stdout or open(os.devnull, "w")  # noqa: SIM115

    def write(self, text: str) -> None:
        """Writes, with ? for what its encoding lacks; or does nothing."""
        encoding = getattr(self._file, "encoding", None) or "utf-8"
        text = text.encode(encoding, "replace").decode(encoding)
        with self._while_heard():
            self._file.write(text)

    def flush(self) -> None:
        """As `write`."""
        with self._while_heard():
            self._file.flush()

    @contextlib.contextmanager
    def _while_heard(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            with contextlib.suppress(OSError):  # for what else is printed, and what is buffered
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._file.fileno())
                os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
