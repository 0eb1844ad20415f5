"""The worker's half of the protocol: one block of work for each request. Standard library alone.

`bench.py` writes one JSON line a request to standard input, `{"part": ..., "seconds": ...}`, and
reads one JSON line a block, a `Report`. Between the two a worker waits on standard input and costs
no CPU.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import NamedTuple


class Report(NamedTuple):
    """What a worker tells of one block."""

    updates: int
    seconds: float
    first_seconds: float
    """From the request, or the end of the imports, to the first finished updates."""
    import_seconds: float
    """What the imports took when the process started."""
    peak_rss_mib: float
    """The most memory that the process has held so far."""


class Meter:
    """Counts updates and divides them into blocks.

    A workload does its work for ever and calls `add` after each piece; `add` waits where a block is
    over, and ends the process when there are no more requests.
    """

    part: str
    """Which part of the workload the current block asks for, where it has several."""

    def __init__(self) -> None:
        """Waits for the first request."""
        # Whatever a library prints goes to standard error; the real standard output is for reports.
        self._reports = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)
        self._import_seconds = 0.0
        self._wait()

    def imported(self) -> None:
        """Tells imports from work: the first block starts anew."""
        self._import_seconds = time.perf_counter() - self._start
        self._start = time.perf_counter()

    def add(self, updates: int) -> None:
        """Counts updates whose results are there; reports and waits when the block is over."""
        seconds = time.perf_counter() - self._start
        self._updates += updates
        self._first_seconds = self._first_seconds or seconds
        if seconds >= self._seconds:
            peak_rss_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            report = Report(
                self._updates, seconds, self._first_seconds, self._import_seconds, peak_rss_mib
            )
            print(json.dumps(report._asdict()), file=self._reports)
            self._wait()

    def _wait(self) -> None:
        line = sys.stdin.readline()
        if not line:
            raise SystemExit
        request = json.loads(line)
        self.part, self._seconds = request["part"], request["seconds"]
        self._updates, self._first_seconds = 0, 0.0
        self._start = time.perf_counter()
