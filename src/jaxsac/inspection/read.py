"""An inspection from its `inspect.json`: the page can be made again without the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from jaxsac.inspection.inspect import Inspection, MemberInspection
from jaxsac.inspection.section import Check, Section


def read(file: Path) -> Inspection:
    """What an `inspect.json` holds, of which `write` makes the same page again.

    Args:
      file: of `jaxsac inspect`. Of its run it has the name alone.

    Raises:
      ValueError: it cannot be read, or is something else.
    """
    try:
        return from_json(json.loads(file.read_text()), file.parent)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{file} cannot be read: give the inspect.json that jaxsac inspect wrote ({error!r})."
        ) from error


def from_json(found: dict[str, Any], directory: Path) -> Inspection:
    """The inverse of `write.to_json`; numbers that are not finite are NaN."""
    members = [
        MemberInspection(
            member["label"],
            member["step"],
            {subject: _section(section) for subject, section in member["sections"].items()},
            member.get("point", {}),  # older files lack it
        )
        for member in found["members"]
    ]
    return Inspection(Path(found["run"]), found["env"], found["which"], directory, members)


def _section(found: dict[str, Any]) -> Section:
    checks = [Check(**check) for check in found["checks"]]
    return Section(checks, _numbers(found["numbers"]), found["left_out"], found["notes"])


def _numbers(value: Any) -> Any:
    """Lists of numbers as arrays."""
    if isinstance(value, dict):
        return {name: _numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        each = [_numbers(one) for one in value]
        return each if any(isinstance(one, np.ndarray) for one in each) else np.array(each)
    return np.nan if value is None else value
