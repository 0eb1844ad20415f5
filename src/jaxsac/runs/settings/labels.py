"""Numbers, times and settings as a person reads them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST_NUMBER = 1e7
"""From here on a number is written with an exponent."""
SHORTEST_NUMBER = 1e-4
"""And below here."""


def number(value: float | None, beside: float = 0.0) -> str:
    """A return: "1,234.5", "0.823"; "-" where there is none.

    Args:
      value: with a decimal, or as many more as three digits take.
      beside: a larger number that it stands beside, such as the mean that it is a deviation of,
        with as many decimals.
    """
    if value is None:
        return "-"
    size = max(abs(value), abs(beside))
    if abs(value) >= LONGEST_NUMBER:
        return f"{value:.3e}"
    return f"{value:.2e}" if 0 < size < SHORTEST_NUMBER else f"{value:,.{decimals(size)}f}"


def decimals(size: float) -> int:
    """How many a return of this size is shown with: one, or those of three digits below 10."""
    return 2 - math.floor(math.log10(size)) if SHORTEST_NUMBER <= size < 10 else 1


def ranges(numbers: Sequence[int]) -> str:
    """Ascending whole numbers, such as "0 to 3, 6"."""
    there = set(numbers)
    starts = [n for n in numbers if n - 1 not in there]
    ends = [n for n in numbers if n + 1 not in there]
    pairs = zip(starts, ends, strict=True)
    return ", ".join(f"{a}" if a == b else f"{a} to {b}" for a, b in pairs)


def spread(values: Sequence[float | None]) -> str:
    """Mean ± standard deviation of the values that there are, or the one value."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return number(known[0] if known else None)
    mean = statistics.fmean(known)
    deviation = math.sqrt(statistics.fmean((value - mean) ** 2 for value in known))
    return f"{number(mean, deviation)} ± {number(deviation, mean)}"


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


def apart(texts: Sequence[str], length: int) -> dict[str, str]:
    """By text: it, or so many letters of it by which it is told from the others.

    Where one is too long they lose the words that all have, and then their middles; those that are
    alike even so are numbered.
    """
    texts = list(dict.fromkeys(texts))
    if all(len(text) <= length for text in texts):
        return dict(zip(texts, texts, strict=True))
    shared = set.intersection(*(set(text.split()) for text in texts))
    short = []
    for text in texts:
        own = " ".join(word for word in text.split() if word not in shared) or text
        short.append(_without_middle(own, length))
    return {
        text: f"{name} ({short[: index + 1].count(name)})" if short.count(name) > 1 else name
        for index, (text, name) in enumerate(zip(texts, short, strict=True))
    }


def _without_middle(text: str, length: int) -> str:
    half = (length - 1) // 2
    return text if len(text) <= length else f"{text[:half]}…{text[-half:]}"


def shorten(text: str, length: int) -> str:
    """The text, or its beginning where it is longer than so many letters."""
    return text if len(text) <= length else f"{text[: max(length - 1, 0)]}…"
