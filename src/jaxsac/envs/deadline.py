"""How long an environment's own code may take."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import NamedTuple

GRACE = 10.0
"""Seconds that code has, after its deadline, to heed the signal."""
PULSE = 0.5
"""Seconds between two looks at the time."""
STANDSTILL = 5.0
"""Seconds without a look, after which it was the whole process that stood still: suspended, or held
by native code that lets no other thread run. They are not the environment's."""


class Expected(NamedTuple):
    """Until when something is waited for."""

    due: float
    what: str
    lost: float
    """Of `Watchdog.lost`, when it began."""


NOTHING = Expected(math.inf, "", 0.0)


class Watchdog:
    """Ends the process when native code never returns, which no signal can stop."""

    def __init__(self) -> None:
        self._expected = NOTHING
        self._thread: threading.Thread | None = None
        self._seen, self._lost = 0.0, 0.0

    def expect(self, seconds: float, what: str) -> None:
        """Gives `what` as many seconds from now on."""
        if self._thread is None:
            self._seen = time.monotonic()
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        self._expected = Expected(time.monotonic() + seconds, what, self._lost)

    def done(self) -> None:
        """Nothing is waited for any more."""
        self._expected = NOTHING

    def lost(self) -> float:
        """Seconds in all, up to now, in which the process stood still."""
        since = time.monotonic() - self._seen
        return self._lost + (since if since > STANDSTILL else 0)

    def _watch(self) -> None:
        while True:
            time.sleep(PULSE)
            self._lost, self._seen = self.lost(), time.monotonic()
            due, what, lost = self._expected
            if self._seen > due + self._lost - lost:
                _end_process(
                    f"\njaxsac: {what} does not return (--env-timeout), and its native code cannot "
                    "be interrupted: ending the process. A run resumes from its last checkpoint.\n"
                )


_watchdog = Watchdog()


@contextlib.contextmanager
def deadline(seconds: float, what: str = "an environment") -> Iterator[None]:
    """Raises in the middle of what takes too long.

    It rests on SIGALRM, so it has no effect outside the main thread; an alarm that is set already
    is put off until the end. Native code that does not return to Python for `GRACE` seconds more
    takes the whole process with it, once it lets another thread run; so does all that takes too
    long where there are no such signals, as on Windows, or native code has taken them. Time in
    which the process is suspended does not count.

    Raises:
      TimeoutError: the time is over. 0 seconds are no limit.
    """
    if not seconds or threading.current_thread() is not threading.main_thread():
        yield
        return

    # Python cannot put back a handler that is not its own.
    if not hasattr(signal, "setitimer") or signal.getsignal(signal.SIGALRM) is None:
        _watchdog.expect(seconds, what)
        try:
            yield
        finally:
            _watchdog.done()
        return

    _watchdog.expect(seconds + GRACE, what)
    start, lost = time.monotonic(), _watchdog.lost()

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal lost
        given_back, lost = _watchdog.lost() - lost, _watchdog.lost()
        if not given_back:
            raise TimeoutError(f"no answer within {seconds:g} seconds (--env-timeout).")
        signal.setitimer(signal.ITIMER_REAL, given_back)

    before = signal.signal(signal.SIGALRM, stop)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        _watchdog.done()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            passed = time.monotonic() - start
            signal.setitimer(signal.ITIMER_REAL, max(left - passed, 1e-6), interval)


def _end_process(text: str) -> None:
    """At once, with a word, also where standard error is no file."""
    try:
        number = sys.stderr.fileno()
    except Exception:
        number = 2
    with contextlib.suppress(OSError):
        os.write(number, text.encode())
    os._exit(1)
