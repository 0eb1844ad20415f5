"""One process at a time in a run directory."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from jaxsac.runs import files

NAME = ".lock"
ATTEMPTS = 100
"""To find the file that was locked still in its place."""
PATIENCE = 0.5
"""Seconds in which a holder writes down who it is."""


class RunDirectoryError(Exception):
    """A directory that cannot be used for the run that was asked for."""


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Makes a directory if need be, and keeps other processes out of it.

    The system lifts the lock however this process ends, also where one that it has forked lives on.
    Where nothing has been written meanwhile the lock's file goes again, and so do the directories
    that were made for it.

    Raises:
      RunDirectoryError: a process holds it already, or the system or its file system has no locks.
    """
    made = [path for path in (directory, *directory.parents) if not path.exists()]
    before = _names(directory)
    try:
        lock = _acquire(directory)
    except BaseException:
        _remove_empty(made)
        raise
    try:
        yield
    finally:
        if not lock.closed:  # as it is in what was forked meanwhile
            # Still held, so that nobody takes a lock that is about to go: see `_acquire`.
            lock.truncate(0)
            alone = _names(directory) == before | {NAME} and NAME not in before
            if alone and not is_of_others(directory):
                (directory / NAME).unlink()
            _remove_empty(made)
            _release(lock)


_held: dict[IO[str], os.stat_result] = {}
"""Open files of locks, and which files they are."""


def is_of_others(directory: Path) -> bool:
    """Whether a lock lies there that this process does not hold: its own file was removed."""
    try:
        there = os.stat(directory / NAME)
    except FileNotFoundError:
        return False
    return not any(os.path.samestat(there, held) for held in tuple(_held.values()))


def _leave_to_parent() -> None:
    """In a forked process, which would keep a lock for as long as it lives."""
    for lock in _held:
        lock.close()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


def _acquire(directory: Path) -> IO[str]:
    if importlib.util.find_spec("fcntl") is None:
        raise RunDirectoryError(
            f"{directory} cannot be locked: runs are made for Linux and macOS, and this Python has "
            "no fcntl. A run without a lock, --no-lock, must be the only one in its directory."
        )
    for _ in range(ATTEMPTS):
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = (directory / NAME).open("a+")
        except FileExistsError as error:
            raise RunDirectoryError(_why_none(directory)) from error
        except FileNotFoundError:  # removed again by a process that was refused
            continue
        try:
            _flock(directory, lock)
            if files.is_in_place(lock.fileno(), directory / NAME):
                lock.truncate(0)
                lock.write(f"{_this_process()}\n")
                lock.flush()
                _held[lock] = os.fstat(lock.fileno())
                return lock
        except BaseException:
            lock.close()
            raise
        lock.close()
    raise RunDirectoryError(
        f"{directory} cannot be locked: {NAME} cannot be made there, or goes again."
    )


def _why_none(directory: Path) -> str:
    for path in (directory, *directory.parents):
        if path.is_symlink() and not path.exists():
            return (
                f"{path} is a link to {path.readlink()}, which does not exist: make or mount that, "
                "or give another run directory."
            )
    return f"{directory} is a file, where a run needs a directory: give another."


def _flock(directory: Path, lock: IO[str]) -> None:
    import fcntl  # not on Windows, where a saved policy loads all the same

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = _holder(lock)
        who = "this process" if holder == _this_process() else f"another process ({holder})"
        raise RunDirectoryError(f"{who} trains in {directory}.") from error
    except OSError as error:
        raise RunDirectoryError(
            f"{directory} cannot be locked against other processes ({error}): give a run "
            "directory on a file system that has locks, or --no-lock where no other process "
            "trains in this one."
        ) from error


def _this_process() -> str:
    return f"{os.getpid()} on {socket.gethostname()}"


def _holder(lock: IO[str]) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        lock.seek(0)
        if text := lock.read(200).strip():
            return text
        time.sleep(0.01)
    return "unknown"


def _release(lock: IO[str]) -> None:
    import fcntl

    _held.pop(lock, None)
    fcntl.flock(lock, fcntl.LOCK_UN)  # or native code that has forked would hold it on
    lock.close()


def _names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} if directory.is_dir() else set()


def _remove_empty(made: list[Path]) -> None:
    with contextlib.suppress(OSError):
        for path in made:
            path.rmdir()
