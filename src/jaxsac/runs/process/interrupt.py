"""Ctrl-C, SIGTERM and other signals as a request that a loop honours at a safe point."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

NAMES = {
    "SIGINT": "Ctrl-C",
    "SIGTERM": "SIGTERM",
    "SIGHUP": "SIGHUP",
    "SIGUSR1": "SIGUSR1",
    "SIGUSR2": "SIGUSR2",
    "SIGXCPU": "SIGXCPU",
}
"""And what a person calls them. HUP comes when a terminal is closed; the last three are what
schedulers send ahead of the end of a job's time (USR1 from Slurm with `--signal`)."""
SIGNALS = {getattr(signal, name): text for name, text in NAMES.items() if hasattr(signal, name)}
WARNINGS = ("SIGUSR1", "SIGUSR2", "SIGXCPU")
"""Which mean an end to come by a scheduler's habit alone: whoever else handles them, keeps them."""
HANGUP = getattr(signal, "SIGHUP", None)
PATIENCE = 3.0
"""Seconds that native code has to come back to Python after a signal that insists."""


class Interrupt:
    """While entered, the first signal sets `requested`; one that `insists` acts as usual.

    Python calls the handler of a signal in the main thread alone, and not before native code there
    has come back, which may take the compiler minutes. So a thread of its own, which is woken at
    once, says that a signal has been heard, and ends the process where one that insists cannot act.

    Outside the main thread, where Python cannot handle signals, it does nothing.
    """

    def __init__(self, announce: Callable[[str], None] = lambda name: None) -> None:
        """Makes it.

        Args:
          announce: called at the first signal, in another thread, with what a person calls it.
        """
        self.requested = False
        self._announce = announce
        self._previous: dict[int, Any] = {}
        self._taken: set[int] = set()
        self._heard: list[int] = []
        self._handled: list[int] = []
        self._insisted = False
        self._over = threading.Event()
        self._wakeup: socket.socket | None = None

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            heard, self._wakeup = socket.socketpair()
            self._wakeup.setblocking(False)
            self._previous_fd = signal.set_wakeup_fd(self._wakeup.fileno())
            self._listener = threading.Thread(target=self._listen, args=[heard], daemon=True)
            self._listener.start()
            self._taken = set(filter(_is_heeded, SIGNALS))
            self._previous = {n: signal.signal(n, self._request) for n in self._taken}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()
        self._over.set()
        if self._wakeup is not None:
            signal.set_wakeup_fd(self._previous_fd)
            self._wakeup.close()
            self._listener.join()

    def _request(self, number: int, frame: FrameType | None) -> None:
        again = insists(number, self._handled)
        self._handled.append(number)
        self.requested = True
        if again or self._insisted:  # in native code, which has come back only now
            self._restore()
            signal.raise_signal(number)

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _listen(self, wakeups: socket.socket) -> None:
        with wakeups:
            while numbers := wakeups.recv(1):  # b"" once the other end is closed
                if numbers[0] not in self._taken:
                    self._pass_on(numbers)
                    continue
                again = insists(numbers[0], self._heard)
                self._insisted |= again
                self._heard.append(numbers[0])
                if len(self._heard) == 1:
                    self.requested = True
                    self._announce(SIGNALS[signal.Signals(numbers[0])])
                elif again and not self._over.wait(PATIENCE) and not _is_interactive():
                    os.write(2, b"\njaxsac: ended at once, without saving.\n")
                    os._exit(128 + numbers[0])

    def _pass_on(self, numbers: bytes) -> None:
        """Wakes whoever was woken by signals before, an event loop for one, which acts later."""
        if self._previous_fd != -1:
            with contextlib.suppress(OSError):  # it is full, or closed
                os.write(self._previous_fd, numbers)


def insists(number: int, before: Sequence[int]) -> bool:
    """Whether a signal is not to wait: the same one again, or Ctrl-C after any other.

    A SIGTERM after a scheduler's SIGUSR1 asks for what is being done already. So does a SIGHUP, as
    often as it comes: from shell and terminal both, or from systemd after its SIGTERM.
    """
    return number != HANGUP and (number in before or (number == signal.SIGINT and bool(before)))


def _is_heeded(number: int) -> bool:
    """Whether a signal is ours to take.

    What `nohup` ignores stays ignored; a shell's background has Ctrl-C ignored too. A handler that
    native code installed stays, as Python cannot put it back; and so does one for a warning, as
    that by which submitit has a job requeued.
    """
    handler = signal.getsignal(number)
    owner = getattr(handler, "__self__", None)
    is_of_others = callable(handler) and not isinstance(owner, Interrupt)
    if is_of_others and signal.Signals(number).name in WARNINGS:
        return False
    return handler is not None and (number == signal.SIGINT or handler != signal.SIG_IGN)


def _is_interactive() -> bool:
    """Whether there is more in this process than the run: a notebook, or a prompt of Python."""
    return hasattr(sys, "ps1")
