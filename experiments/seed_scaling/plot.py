"""The figure of the study: `python plot.py` draws it again from `results/table.csv`."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"
KINDS = ("median", "min", "max")
COLORS = {
    "jaxsac": "C0",
    "SBX, a process a seed": "C1",
    "rejax, vmap": "C1",
    "jaxsac, 1 device, map": "C2",
    "jaxsac, 1 device, vmap": "C3",
    "jaxsac, 2 devices, map": "C4",
    "jaxsac, 2 devices, vmap": "C5",
}


def draw(results: Path = RESULTS) -> None:
    """Draws scaling.png from the table.csv beside it: one panel a section."""
    with (results / "table.csv").open() as file:
        rows: list[dict[str, Any]] = [row for row in csv.DictReader(file) if row["rate_median"]]
    sections = list(dict.fromkeys(row["section"] for row in rows))
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    panels = figure.subplots(1, len(sections))
    for section, axes in zip(sections, panels, strict=True):
        chosen = [row for row in rows if row["section"] == section]
        for line in dict.fromkeys(row["line"] for row in chosen):
            _draw_line(axes, line, [row for row in chosen if row["line"] == line])
        counts = sorted({int(row["seeds"]) for row in chosen})
        axes.set_xscale("log", base=2)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set_ylim(bottom=0)
        axes.set_xlabel("seeds trained together")
        axes.set_title(section, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize="small", frameon=False)
    panels[0].set_ylabel("environment steps and updates a second,\nall seeds together")
    figure.savefig(results / "scaling.png", dpi=130)


def _draw_line(axes: Axes, name: str, rows: list[dict[str, Any]]) -> None:
    counts = [int(row["seeds"]) for row in rows]
    median, low, high = ([float(row[f"rate_{which}"]) for row in rows] for which in KINDS)
    spread = [
        [m - lo for m, lo in zip(median, low, strict=True)],
        [hi - m for m, hi in zip(median, high, strict=True)],
    ]
    default, by_hand = name == "jaxsac", name.startswith("jaxsac, ")
    # Layouts chosen by hand are single points around the line of the default.
    axes.errorbar(
        counts,
        median,
        spread,
        color=COLORS[name],
        marker="x" if by_hand else "o",
        linestyle="none" if by_hand else "-",
        linewidth=2.2 if default else 1.4,
        zorder=3 if default else 2,
        capsize=3,
        label=name,
    )


if __name__ == "__main__":
    tyro.cli(draw)
