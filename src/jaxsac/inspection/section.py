"""What is said of one subject of one member: numbers, what good looks like, what is left out."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple


class Check(NamedTuple):
    """A number for a person."""

    name: str
    value: str
    good: str
    """One sentence: what good looks like."""
    bad: bool = False
    """Whether the number looks bad."""


@dataclasses.dataclass
class Section:
    """One subject."""

    checks: list[Check] = dataclasses.field(default_factory=list)
    numbers: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What `inspect.json` and the figures have: JSON values and NumPy arrays, by name."""
    left_out: list[str] = dataclasses.field(default_factory=list)
    """Sentences on what could not be computed, and why."""
    notes: list[str] = dataclasses.field(default_factory=list)
    """Sentences on how it was computed."""

    def add(self, name: str, value: str, good: str, bad: Any = False) -> None:
        """Adds a check."""
        self.checks.append(Check(name, value, good, bool(bad)))

    @classmethod
    def without(cls, reason: str) -> Section:
        """Of what cannot be computed at all."""
        return cls(left_out=[reason])


def number(value: float) -> str:
    """Three digits: "0.0123", "1.23e+06"; "-" for none."""
    return f"{value:.3g}" if math.isfinite(value) else "-"


def percent(share: float) -> str:
    """A share: "12 %"; "-" for none."""
    return f"{number(100 * share)} %" if math.isfinite(share) else "-"
