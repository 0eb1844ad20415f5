"""The files of a report: figures, numbers and the page."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from jaxsac.reports import figures, page, tables
from jaxsac.reports.tables import Numbers
from jaxsac.runs import files

PAGE, JSON, CSV = "report.html", "numbers.json", "numbers.csv"
OF_ENV = ("learning-curves", "scores", "improvement")
OF_ALL = ("performance-profiles", "improvement-all")
"""Figures that a report may have."""


def write(numbers: Numbers) -> None:
    """Writes figures, tables and the page to the directory of the report, over older ones."""
    output = numbers.directory
    output.mkdir(parents=True, exist_ok=True)
    before = _drawn_before(output / JSON)
    with matplotlib.rc_context(figures.WITH_NAMES):
        drawn = {name: save(figure, output / name) for name, figure in _figures(numbers).items()}
    text = json.dumps(tables.to_json(numbers), indent=1, allow_nan=False)
    files.write(output / JSON, f"{text}\n".encode())
    files.write(output / CSV, tables.to_csv(numbers).encode())
    files.write(output / PAGE, page.html(numbers, drawn).encode())
    for name in before - set(drawn):  # it is of other runs, and would be taken for one of these
        for ending in (".png", ".svg"):
            (output / f"{name}{ending}").unlink(missing_ok=True)


def _drawn_before(file: Path) -> set[str]:
    """The names of the figures that an earlier report may have left, by its numbers."""
    try:
        envs = [task["env"] for task in json.loads(file.read_text(encoding="utf-8"))["tasks"]]
    except (OSError, ValueError, TypeError, KeyError):
        return set()
    of_each = itertools.product(OF_ENV, map(tables.file_name, envs))
    return {*OF_ALL, *(f"{kind}-{name}" for kind, name in of_each)}


def _figures(numbers: Numbers) -> dict[str, Figure]:
    found = {}
    for each in numbers.tasks:
        name = tables.file_name(each.env)
        found[f"learning-curves-{name}"] = figures.learning_curves(
            each, numbers.references[each.env]
        )
        found[f"scores-{name}"] = figures.scores(each)
        if each.improvements:
            title = f"{each.env}: probability of improvement"
            found[f"improvement-{name}"] = figures.improvements(each.improvements, title)
    if numbers.across is not None:
        found["performance-profiles"] = figures.profiles(numbers.across)
        if numbers.across.improvements:
            title = "all environments: probability of improvement"
            found["improvement-all"] = figures.improvements(numbers.across.improvements, title)
    return found


def save(figure: Figure, path: Path) -> str:
    """Writes a figure to `path`.png and .svg; returns the text of the SVG."""
    figure.savefig(path.with_name(f"{path.name}.png"), dpi=160)
    file = path.with_name(f"{path.name}.svg")
    # Names within it that no other figure of the page has, and the same ones each time.
    with matplotlib.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(file, metadata={"Date": None})
    return file.read_text(encoding="utf-8")
