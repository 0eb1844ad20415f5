"""Draws rates.png from what is stored: `python figure.py`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import tyro
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

RESULTS = Path(__file__).parent / "results"
SHOWN = {"Pendulum-v1": ("jaxsac", "C0", "o"), "rejax, Pendulum-v1": ("rejax", "C1", "s")}


def main(results: Path = RESULTS / "2026-11-26-h200") -> None:
    """Draws the rates of all seeds together over their number.

    Args:
      results: folder of a card.
    """
    with (results / "measurements.csv").open(newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    card = json.loads((results / "machine.json").read_text())["card"].partition(",")[0]
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for what, (name, color, marker) in SHOWN.items():
        points = sorted(
            (int(row["seeds"]), float(row["value"]))
            for row in rows
            if row["what"] == what and row["unit"] == "seed-steps/s"
            if row["section"] in ("pendulum", "peers")
        )
        axes.plot(*zip(*points, strict=True), marker, ls="-", color=color, label=name)
        axes.annotate(f"{points[-1][1]:,.0f}", points[-1], (0, 6), textcoords="offset points",
                      ha="center", fontsize="small", color=color)  # fmt: skip
    floor = min(
        float(row["value"])
        for row in rows
        if row["what"] == "floor: memory" and row["setting"] == "default"
    )
    axes.axhline(1e6 / floor, color="0.6", ls=":", label="memory at full speed")
    axes.set(xscale="log", yscale="log", xlabel="seeds trained together", ylim=(20, 3e5),
             ylabel="steps, each with its update,\na second, all seeds")  # fmt: skip
    counts = sorted({int(row["seeds"]) for row in rows if row["what"] in SHOWN})
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    axes.set_title(f"Pendulum in JAX, 256×256, batch 256, {card}", loc="left", fontsize="medium")
    figure.savefig(results / "rates.png", dpi=130)


if __name__ == "__main__":
    tyro.cli(main)
