"""An exception as plain data, so that it arrives in another process and in words in any case."""

from __future__ import annotations

import contextlib
import functools
import traceback
from typing import Any, NamedTuple

from jaxsac import named

PLAIN = (str, bytes, bool, int, float, type(None))


class RemoteError(Exception):
    """Where an error was raised in another process."""

    def __str__(self) -> str:
        return f"in a worker process:\n{self.args[0]}"


class Fault(NamedTuple):
    """What is told of an exception."""

    kind: str
    """Its class, as module:name."""
    arguments: tuple[Any, ...] | None
    """Those that it was made with; None where they are no plain data."""
    text: str
    notes: tuple[str, ...]
    where: str
    """Its traceback."""

    @classmethod
    def of(cls, error: Exception) -> Fault:
        """Of an exception that is being handled."""
        plain = all(isinstance(each, PLAIN) for each in error.args)
        return cls(
            named.name_of(type(error), "error"),
            error.args if plain else None,
            str(error),
            tuple(getattr(error, "__notes__", ())),
            traceback.format_exc(),
        )

    def error(self) -> Exception:
        """The exception again; a `RuntimeError` that says the same where it cannot be made here."""
        found = self._made() or RuntimeError(f"{self.kind.partition(':')[2]}: {self.text}")
        for note in self.notes:
            found.add_note(note)
        found.__cause__ = RemoteError(self.where)
        return found

    def _made(self) -> Exception | None:
        if self.arguments is None:
            return None
        with contextlib.suppress(Exception):  # it is not found here
            kind: Any = named.find(self.kind, "error")
            # The constructor may take something else than it keeps; without it, less may be there.
            for make in (kind, functools.partial(kind.__new__, kind)):
                with contextlib.suppress(Exception):
                    found = make(*self.arguments)
                    if isinstance(found, Exception) and str(found) == self.text:
                        return found
        return None
