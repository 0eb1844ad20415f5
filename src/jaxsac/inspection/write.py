"""The files of an inspection: figures, numbers and the page."""

from __future__ import annotations

import json
import math
from typing import Any

import matplotlib
import numpy as np

from jaxsac.inspection import figures, page
from jaxsac.inspection.inspect import Inspection, MemberInspection
from jaxsac.reports.figures import STYLE
from jaxsac.reports.write import save
from jaxsac.runs import files

PAGE, JSON = "inspect.html", "inspect.json"


def write(inspection: Inspection) -> None:
    """Writes figures, numbers and the page to the directory, over older ones."""
    output = inspection.directory
    output.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        drawn = {
            name: save(figure, output / name.replace("_", "-"))
            for name, figure in figures.draw(inspection).items()
        }
    files.write(output / JSON, (json.dumps(to_json(inspection), indent=1) + "\n").encode())
    files.write(output / PAGE, page.html(inspection, drawn).encode())


def to_json(inspection: Inspection) -> dict[str, Any]:
    """All numbers by member and subject; None for those that are not finite."""
    return {
        "run": inspection.run.resolve().name,
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
    return {"label": member.label, "step": member.step, "sections": sections}


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
