"""Numbers, times and settings as a person reads them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST_NUMBER = 1e7
"""From here on a number is written with an exponent."""


def number(value: float | None) -> str:
    """A return: "1,234.5"; "-" where there is none."""
    if value is None:
        return "-"
    return f"{value:,.1f}" if not abs(value) >= LONGEST_NUMBER else f"{value:.3e}"


def spread(values: Sequence[float | None]) -> str:
    """Mean ± standard deviation of the values that there are, or the one value."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return number(known[0] if known else None)
    mean = statistics.fmean(known)
    deviation = math.sqrt(statistics.fmean((value - mean) ** 2 for value in known))
    return f"{number(mean)} ± {number(deviation)}"


def duration(seconds: float | None) -> str:
    """Hours, minutes and seconds: "1:02:03"; "-" where it is not known."""
    if seconds is None:
        return "-"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def setting(value: Any) -> str:
    """A value of a setting, in the shorter of its forms: "0.99", "3e-4", "64x64"."""
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    if not isinstance(value, float) or not math.isfinite(value):
        return str(value)
    mantissa, exponent = f"{value:.3e}".split("e")
    scientific = f"{float(mantissa):g}e{int(exponent)}"
    return min(f"{value:.4g}", scientific, key=len)


def settings(point: Mapping[str, Any]) -> str:
    """The settings of a point of a sweep: "actor_lr=1e-4 gamma=0.9"."""
    return " ".join(f"{name}={setting(value)}" for name, value in point.items())


def shorten(text: str, length: int) -> str:
    """The text, or its beginning where it is longer than so many letters."""
    return text if len(text) <= length else f"{text[: max(length - 1, 0)]}…"
