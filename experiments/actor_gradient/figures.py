"""Tables and figures of the study from what is stored: `python figures.py` for all environments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from moments import TERMS
from stored import (
    BATCH_SIZE,
    ESTIMATORS,
    LABELS,
    Table,
    correlation,
    gradient_table,
    moments_of,
    returns_of,
    returns_table,
    signal_to_noise,
    square,
    steps_of,
    variants_of,
)

sys.path.append(str(Path(__file__).parents[1]))

from statistics_of_seeds import interval

RESULTS = Path(__file__).parent / "results"
COLORS = {"total": "C0", "path": "C1", "score": "C2", "samples4": "C3"}


def main(environments: tyro.conf.Positional[tuple[str, ...]] = ()) -> None:
    """Draws the figures and prints the tables.

    Args:
      environments: folders of `results`; all of them by default.
    """
    names = environments or sorted(folder.name for folder in RESULTS.iterdir() if folder.is_dir())
    for name in names:
        draw(RESULTS / name)


def draw(results: Path) -> None:
    """Draws variance.png and returns.png, and prints the numbers behind them.

    Args:
      results: folder with one of each variant, and in it one of each group of seeds with
        returns.csv and moments.csv; the figures go to `results` too.
    """
    _draw_variance(moments_of(results), results)
    _draw_returns(results)
    print(*gradient_table(results), "", *returns_table(results), "", sep="\n")


def _line(axes: Axes, steps: list[int], values: list[np.ndarray], **style: Any) -> None:
    """The mean over seeds, and a band from the lowest to the highest."""
    stacked = np.array(values)
    (line,) = axes.plot(steps, stacked.mean(1), marker="o", markersize=3, **style)
    axes.fill_between(
        steps, stacked.min(1), stacked.max(1), color=line.get_color(), alpha=0.15, linewidth=0
    )


def _draw_variance(table: Table, results: Path) -> None:
    """The agents of the run `total`: size of the terms, their correlation, signal to noise."""
    steps = steps_of(table, "total")
    parts = [table["total", step] for step in steps]
    updates = [step - steps[0] for step in steps]
    figure = Figure(figsize=(7.5, 10.5), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True)
    names = {"score": "score", "entropy_path": "entropy path", "q_path": "Q path"}
    for index, (term, label) in enumerate(names.items()):
        i = TERMS.index(term)
        values = [np.sqrt(p["noise"][:, i, i]) for p in parts]
        _line(top, updates, values, label=label, color=f"C{index + 4}")
    mean = [np.sqrt(square(p["mean"], "total")) for p in parts]
    _line(top, updates, mean, label="norm of the mean gradient", color="0.3", linestyle="--")
    top.margins(y=0.2)  # room for the legend
    top.set(yscale="log", ylabel="standard deviation over ε", title="Noise of one action's terms")
    pairs = (("score", "entropy_path"), ("score", "q_path"), ("entropy_path", "q_path"))
    for index, (x, y) in enumerate(pairs):
        values = [correlation(p["noise"], x, y) for p in parts]
        label = f"{names[x]} and {names[y]}"
        _line(middle, updates, values, label=label, color=f"C{index + 7}")
    middle.axhline(0, color="0.7", linewidth=0.8)
    middle.set(ylim=(-1.05, 1.05), ylabel="cosine", title="How the noise of the terms correlates")
    for name in ESTIMATORS:
        values = [signal_to_noise(p, name) for p in parts]
        _line(bottom, updates, values, label=LABELS[name], color=COLORS[name])
    values = [signal_to_noise(p, "total", 4) for p in parts]
    _line(bottom, updates, values, label=LABELS["samples4"], color=COLORS["samples4"])
    bottom.set(
        yscale="log",
        xlabel="updates",
        ylabel="‖mean‖ / standard deviation",
        ylim=(0.1, None),  # below it the mean is lost in the noise of the measurement
        title=f"Signal to noise of a gradient from {BATCH_SIZE} states",
    )
    bottom.set_yticks([0.1, 0.2, 0.5, 1, 2, 5], [f"{tick:g}" for tick in (0.1, 0.2, 0.5, 1, 2, 5)])
    bottom.yaxis.set_minor_formatter("")
    # Measured at 0 and at doubling distances: logarithmic but for the first one.
    bottom.set_xscale("symlog", linthresh=updates[1], linscale=0.5)
    bottom.set_xlim(-0.1 * updates[1], 1.1 * updates[-1])
    ticks = [*updates[:-2], updates[-1]]
    bottom.set_xticks(ticks, [f"{count:,}" for count in ticks])
    bottom.xaxis.set_minor_locator(NullLocator())
    for axes in (top, middle, bottom):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=9, ncols=2)
    figure.suptitle(f"{results.name}: the actor's gradient during training (band: all seeds)")
    figure.savefig(results / "variance.png", dpi=110)


def _draw_returns(results: Path) -> None:
    """Every variant's mean return over seeds, with a 95 % interval of Student's t."""
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axes = figure.subplots()
    for variant in variants_of(results):
        curves = list(returns_of(results, variant).values())
        steps = sorted(curves[0])
        values = np.array([[curve[step] for step in steps] for curve in curves])
        (mean, half), color = interval(values), COLORS[variant]
        axes.plot(steps, mean, color=color, label=f"{LABELS[variant]}, {len(curves)} seeds")
        axes.fill_between(steps, mean - half, mean + half, color=color, alpha=0.13, linewidth=0)
    axes.set(
        title=f"{results.name}: evaluation return, mean of seeds, 95 % intervals",
        xlabel="environment steps",
        ylabel="return",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:,.0f}")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="best")
    figure.savefig(results / "returns.png", dpi=120)


if __name__ == "__main__":
    tyro.cli(main)
