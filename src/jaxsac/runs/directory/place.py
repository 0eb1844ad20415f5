"""Whether a run's directory is still the one in which it began."""

from __future__ import annotations

import errno
import os

from jaxsac.runs import files
from jaxsac.runs.directory import lock
from jaxsac.runs.directory.directory import RunDirectory, RunDirectoryError

GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)
"""Errors of a path that leads to nothing; ESTALE on a network's file system."""


class Place:
    """While entered, knows a run's directory from others that are made under its name.

    It is held open: the number of one that was removed goes to the next that is made.
    """

    def __init__(self, run: RunDirectory, locked: bool, step: int) -> None:
        """Of a run that has its directory.

        Args:
          run: the directory.
          locked: whether this process holds its lock.
          step: at which the run begins or goes on.
        """
        self._run, self._locked, self._step = run, locked, step

    def __enter__(self) -> Place:
        try:
            self._descriptor = os.open(self._run.path, os.O_RDONLY)
        except FileNotFoundError as error:
            raise self._refusal() from error
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def check(self, step: int) -> None:
        """Comes before each write there.

        Args:
          step: what is to be written is of.

        Raises:
          RunDirectoryError: it was moved, removed or replaced.
        """
        if not self._is_here():
            raise self._refusal()
        self._step = step

    def _is_here(self) -> bool:
        try:
            if not files.is_in_place(self._descriptor, self._run.path):
                return False
            os.stat(self._run.manifest)
        except OSError as error:
            # Of a file system that does not answer, the write itself will tell.
            return error.errno not in GONE
        return not (self._locked and lock.is_of_others(self._run.path))

    def _refusal(self) -> RunDirectoryError:
        return RunDirectoryError(
            f"{self._run.path} is not the directory of this run any more: it was moved, removed or "
            f"replaced while it trained, and nothing was written there since step {self._step:,}; "
            "where it was moved to, the same command resumes it from its last checkpoint."
        )
