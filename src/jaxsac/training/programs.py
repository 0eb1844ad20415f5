"""Compiled programs that a process keeps, so that a run finds those of the runs before it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

MOST = 64


def kept(make: Callable[..., Any]) -> Callable[..., Any]:
    """Keeps what a function makes for the latest `MOST` arguments, which are compared by value.

    For arguments that cannot be hashed, as an environment of one's own, it is made each time.
    """
    cached = functools.lru_cache(maxsize=MOST)(make)

    @functools.wraps(make)
    def kept_or_made(*args: Any) -> Any:
        try:
            hash(args)
        except TypeError:
            return make(*args)
        return cached(*args)

    return kept_or_made
