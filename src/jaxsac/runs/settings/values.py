"""Values of settings as a person writes them, brought to what a run holds."""

from __future__ import annotations

import json
import numbers
from collections.abc import Mapping
from typing import Any


def whole_number(text: str) -> int:
    """12, or 1e6.

    Raises:
      ValueError: another number, or none.
    """
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if not number.is_integer():
            raise ValueError(f"{text} is no whole number") from None
        return int(number)


def whole(name: str, value: Any) -> int:
    """The whole number of a setting, also where it is a float such as 1e6.

    Raises:
      ValueError: it is none; names the setting.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ValueError(f"{name} must be a whole number, got {value!r}.")
    return int(value)


def json_object(name: str, value: Any) -> dict[str, Any]:
    """A dict as a manifest gives it back: with lists for tuples.

    Raises:
      ValueError: JSON cannot hold it; names the setting.
    """
    try:
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError):
        pass
    raise ValueError(
        f"{name} must be a dict of what JSON can hold (texts, numbers, lists, dicts), got "
        f"{value!r}."
    )
