"""The bars of the README: `python figure.py` draws them again from `results/table.csv`."""

from __future__ import annotations

import csv
import textwrap
from pathlib import Path
from typing import Any

import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from paths import RESULTS
from rows import SECTIONS

CEILING = "matrix products alone"

Line = dict[str, Any]


def draw(results: Path = RESULTS) -> None:
    """Draws bars.png from the table.csv beside it: one panel a section and number of cores."""
    with (results / "table.csv").open() as file:
        lines: list[Line] = list(csv.DictReader(file))
    cores = sorted({int(line["cores"]) for line in lines})
    sections = [s for s in SECTIONS if any(line["section"] == s for line in lines)]
    heights = [len({line["row"] for line in lines if line["section"] == s}) for s in sections]
    figure = Figure(figsize=(11, 1 + 0.42 * sum(heights)), layout="constrained")
    grid = figure.subplots(
        len(sections),
        len(cores),
        height_ratios=heights,
        sharex="row",
        sharey="row",
        squeeze=False,
    )
    for section, panels in zip(sections, grid, strict=True):
        for count, axes in zip(cores, panels, strict=True):
            chosen = [
                line for line in lines if line["section"] == section and int(line["cores"]) == count
            ]
            _draw_bars(axes, chosen)
            axes.set_title(f"{section}, {count} core{'s' if count > 1 else ''}", loc="left")
    for axes in grid[-1]:
        axes.set_xlabel("updates per second, all seeds together\n(median; whisker: min to max)")
    figure.savefig(results / "bars.png", dpi=130)


def _draw_bars(axes: Axes, lines: list[Line]) -> None:
    """A bar a row from above to below, its median beside it; a note where there is no bar."""
    for position, line in enumerate(lines):
        if not line["rate_median"]:
            note = axes.text(0, position, "  " + textwrap.shorten(line["note"], 60), va="center")
            note.set(color="0.4", style="italic", in_layout=False)
            continue
        median, low, high = (float(line[f"rate_{name}"]) for name in ("median", "min", "max"))
        axes.barh(
            position,
            median,
            xerr=[[median - low], [high - median]],
            color=_color(line),
            error_kw={"elinewidth": 1, "capsize": 3},
        )
        axes.text(high, position, f"  {median:.0f}", va="center")
        if line["row"] == CEILING:
            axes.axvline(median, color="0.4", linestyle=":", zorder=0)
    axes.set_yticks(range(len(lines)), [line["row"] for line in lines])
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)


def _color(line: Line) -> str:
    if line["row"] == CEILING:
        return "0.72"
    return "C0" if line["peer"] == "jaxsac" else "C1"


if __name__ == "__main__":
    tyro.cli(draw)
