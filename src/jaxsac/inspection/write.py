"""The files of an inspection: figures, numbers and the page."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import matplotlib
import numpy as np

from jaxsac.inspection import figures, page
from jaxsac.inspection.inspect import Inspection, MemberInspection
from jaxsac.inspection.read import from_json
from jaxsac.reports.figures import STYLE
from jaxsac.reports.write import save
from jaxsac.runs import files

PAGE, JSON = "inspect.html", "inspect.json"
DIGITS = 7
"""Of a number that is not whole: as many as single precision has."""


def write(inspection: Inspection) -> None:
    """Writes figures, numbers and the page to the directory, over older ones."""
    output, numbers = inspection.directory, to_json(inspection)
    output.mkdir(parents=True, exist_ok=True)
    # Drawn from what the file holds, so that the page can be made from the file again.
    inspection = from_json(numbers, output)
    with matplotlib.rc_context(STYLE):
        drawn = {
            name: save(figure, output / name.replace("_", "-"))
            for name, figure in figures.draw(inspection).items()
        }
    files.write(output / JSON, _lines(numbers).encode())
    files.write(output / PAGE, page.html(inspection, drawn).encode())


def to_json(inspection: Inspection) -> dict[str, Any]:
    """All numbers by member and subject; None for those that are not finite."""
    return {
        "run": inspection.run.name,
        "env": inspection.env,
        "which": inspection.which,
        "members": [_member(member) for member in inspection.members],
    }


def _member(member: MemberInspection) -> dict[str, Any]:
    sections = {
        subject: {
            "numbers": _plain(section.numbers),
            "checks": [check._asdict() for check in section.checks],
            "left_out": section.left_out,
            "notes": section.notes,
        }
        for subject, section in member.sections.items()
    }
    return {
        "label": member.label, "point": member.point, "step": member.step, "sections": sections,
    }  # fmt: skip


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if not isinstance(value, float) or value.is_integer():
        return value
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def _lines(value: dict[str, Any]) -> str:
    """JSON with a line for each name, and a list of numbers in one."""
    lists = re.compile(r"\[[^\[\]{}\"]*\]")
    return lists.sub(lambda m: re.sub(r"\n *", "", m[0]), json.dumps(value, indent=1)) + "\n"
