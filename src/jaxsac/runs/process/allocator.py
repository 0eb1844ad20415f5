"""Memory that is freed stays with the process, for what is computed next."""

from __future__ import annotations

import ctypes
import os

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""Numbers of parameters of glibc's `mallopt`."""
LARGEST = 2**31 - 1
SET_BY_USER = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_")


def keep_freed_memory() -> None:
    """Has glibc keep what is freed instead of returning it to the system.

    An update on a CPU frees some megabytes that the next one asks for again. Returned in between,
    each page of them is a page fault: of a step of one seed that was a quarter of the time on two
    cores and a twelfth on one (experiments/performance/page_faults.py). The process keeps the most
    memory that it has ever used.

    Process-wide. Other C libraries are left alone, and so is one that the user has tuned by
    GLIBC_TUNABLES, MALLOC_TRIM_THRESHOLD_ or MALLOC_MMAP_MAX_.
    """
    if any(name in os.environ for name in SET_BY_USER):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return
    mallopt(TRIM_THRESHOLD, LARGEST)
    mallopt(MMAP_MAX, 0)
