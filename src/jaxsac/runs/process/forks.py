"""Processes that are forked after a run has computed, and lack the threads that JAX waits for."""

from __future__ import annotations

import os

_computed_in: set[int] = set()
"""Processes, this one and those that it was forked from, in which a run has computed."""


def check() -> None:
    """Refuses to compute in such a process; called where a run begins to.

    Raises:
      ValueError: says what to do.
    """
    if _computed_in and os.getpid() not in _computed_in:
        raise ValueError(
            "this process was forked from one in which a run has computed, and JAX would wait for "
            "ever here: start processes by multiprocessing.get_context('spawn'), or train in them "
            "alone."
        )
    _computed_in.add(os.getpid())
