"""Draws what is stored of a card: `python figure.py --results results/2026-11-26-h100`."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

RESULTS = Path(__file__).parent / "results"
CURVES = {
    "flashsac-default": ("FlashSAC, TF32", "C2"),
    "xqc-default": ("XQC, TF32", "C4"),
    "fast-default": ("fast, TF32", "C3"),
    "learning-default": ("plain SAC in blocks of 50, TF32", "C0"),
    "learning-float32": ("the same in float32", "C1"),
}
SHOWN = {"Pendulum-v1": ("jaxsac", "C0", "o"), "rejax, Pendulum-v1": ("rejax", "C1", "s")}


def main(results: Path = RESULTS / "2026-11-26-h200") -> None:
    """Draws the rates of many seeds where they were measured, and curves where there are some.

    Args:
      results: folder of a card.
    """
    with (results / "measurements.csv").open(newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    card = json.loads((results / "machine.json").read_text())["card"].partition(",")[0]
    if any(row["what"] == "Pendulum-v1" and row["seeds"] == "256" and row["value"] for row in rows):
        draw_rates(rows, card).savefig(results / "rates.png", dpi=130)
    if any((results / f"{name}.csv").exists() for name in CURVES):
        draw_curves(results, card).savefig(results / "curves.png", dpi=130)


def draw_curves(results: Path, card: str) -> Figure:
    """Returns of the episodes of training, as mean and range of the seeds."""
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for name, (label, color) in CURVES.items():
        if not (results / f"{name}.csv").exists():
            continue
        with (results / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        steps = sorted({int(float(row["step"])) for row in rows})
        returns = np.array(
            [[float(r["train_return"]) for r in rows if float(r["step"]) == step] for step in steps]
        )
        label = f"{label}, {returns.shape[1]} seeds"
        axes.plot(steps, returns.mean(axis=1), color=color, label=label)
        axes.fill_between(steps, returns.min(axis=1), returns.max(axis=1), color=color, alpha=0.15)
    axes.set(xlabel="steps of each seed", ylabel="return of the episodes of training")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    title = f"HalfCheetah-v4, {card}: mean and range"
    axes.set_title(title, loc="left", fontsize="medium")
    return figure


def draw_rates(rows: list[dict[str, Any]], card: str) -> Figure:
    """The rates of all seeds together over their number."""
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for what, (name, color, marker) in SHOWN.items():
        points = sorted(
            (int(row["seeds"]), float(row["value"]))
            for row in rows
            if row["what"] == what and row["unit"] == "seed-steps/s"
            if row["section"] in ("pendulum", "peers")
        )
        if not points:
            continue
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
    return figure


if __name__ == "__main__":
    tyro.cli(main)
