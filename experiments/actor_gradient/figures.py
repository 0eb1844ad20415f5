"""Figures of the study, from its tables: `python figures.py --results results/Pendulum-v1`."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import tyro
from moments import TERMS
from scipy.stats import t as student_t

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

ESTIMATORS = {"total": (1, 1, 1, 0), "path": (0, 1, 1, 0), "score": (0, 0, 0, 1)}
"""As sums of `moments.TERMS`."""
LABELS = {"total": "total", "path": "path", "score": "score", "samples4": "total, 4 samples"}
COLORS = {"total": "C0", "path": "C1", "score": "C2", "samples4": "C3"}
BATCH_SIZE = 256

Table = dict[tuple[str, int], dict[str, np.ndarray]]
"""By variant and step: (seeds, 4, 4) of each part of `moments.Moments`."""


def draw(results: Path) -> None:
    """Prints the numbers behind the figures and draws them.

    Args:
      results: folder with one of each variant, and in it one of each group of seeds with
        returns.csv and moments.csv; the figures go to `results` too.
    """
    variants = [name for name in LABELS if _read(results / name, "moments.csv")]
    table = load(results, variants)
    _draw_variance(table, results)
    _draw_returns(results, variants)
    print(
        "Agents of total: signal to noise of the estimators; variance over ε of path by that of "
        "total; how much of the score's noise the other terms cancel (1: dropping it is even)"
    )
    for step in steps_of(table, "total"):
        parts = table["total", step]
        ratios = [f"{n} {signal_to_noise(parts, n).mean():.2f}" for n in ESTIMATORS]
        noise = parts["noise"]
        variance = (square(noise, "path") / square(noise, "total")).mean()
        print(f"step {step:,}:", *ratios, f"{variance:.2f}", f"{cancelled(noise).mean():.2f}")


def load(results: Path, variants: list[str]) -> Table:
    """The stored moments as symmetric matrices."""
    rows = defaultdict(lambda: defaultdict(list))
    for variant in variants:
        for row in _read(results / variant, "moments.csv"):
            for part in ("mean", "noise", "states"):
                matrix = np.zeros((len(TERMS), len(TERMS)))
                for i, x in enumerate(TERMS):
                    for j in range(i, len(TERMS)):
                        matrix[i, j] = matrix[j, i] = float(row[f"{part}:{x}:{TERMS[j]}"])
                rows[variant, int(row["step"])][part].append(matrix)
    return {k: {part: np.array(m) for part, m in parts.items()} for k, parts in rows.items()}


def _read(variant: Path, name: str) -> list[dict[str, str]]:
    """The rows of all groups of seeds."""
    rows = []
    for file in sorted(variant.glob(f"seed-*/{name}")):
        with file.open() as lines:
            rows += csv.DictReader(lines)
    return rows


def steps_of(table: Table, variant: str) -> list[int]:
    """The steps at which a variant was measured."""
    return sorted(step for name, step in table if name == variant)


def square(matrices: np.ndarray, estimator: str) -> np.ndarray:
    """⟨g, g⟩ of an estimator for each seed, from those of its terms."""
    weights = np.array(ESTIMATORS[estimator], float)
    return np.maximum(np.einsum("i,sij,j->s", weights, matrices, weights), 0)


def signal_to_noise(
    parts: dict[str, np.ndarray], estimator: str, num_samples: int = 1
) -> np.ndarray:
    """Norm of the mean over the standard deviation of a batch's gradient, by seed."""
    variance = square(parts["states"], estimator) + square(parts["noise"], estimator) / num_samples
    return np.sqrt(square(parts["mean"], estimator) / (variance / BATCH_SIZE))


def cancelled(noise: np.ndarray) -> np.ndarray:
    """-2 Cov(score, pathwise) / Var(score), by seed: above 1 the score term takes noise away.

    Var(total) = Var(pathwise) + Var(score) (1 - this).
    """
    score = TERMS.index("score")
    covariance = noise[:, score] @ np.array(ESTIMATORS["path"], float)
    return -2 * covariance / noise[:, score, score]


def correlation(matrices: np.ndarray, x: str, y: str) -> np.ndarray:
    """Cosine of two terms, by seed."""
    i, j = TERMS.index(x), TERMS.index(y)
    return matrices[:, i, j] / np.sqrt(matrices[:, i, i] * matrices[:, j, j])


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
    figure, (top, middle, bottom) = plt.subplots(
        3, 1, figsize=(7.5, 10.5), sharex=True, layout="constrained"
    )
    names = {"score": "score", "entropy_path": "entropy path", "q_path": "Q path"}
    for index, (term, label) in enumerate(names.items()):
        i = TERMS.index(term)
        values = [np.sqrt(p["noise"][:, i, i]) for p in parts]
        _line(top, updates, values, label=label, color=f"C{index + 4}")
    mean = [np.sqrt(square(p["mean"], "total")) for p in parts]
    _line(top, updates, mean, label="norm of the mean gradient", color="0.3", linestyle="--")
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


def _draw_returns(results: Path, variants: list[str]) -> None:
    """Every variant's mean return over seeds, with a 95 % interval of Student's t."""
    curves = defaultdict(lambda: defaultdict(list))
    for variant in variants:
        for row in _read(results / variant, "returns.csv"):
            curves[variant][int(float(row["step"]))].append(float(row["eval_return"]))
    figure, axes = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
    count = len(next(iter(curves["total"].values())))
    for variant, points in curves.items():
        steps, values = list(points), np.array(list(points.values()))
        half = student_t.ppf(0.975, count - 1) * values.std(1, ddof=1) / np.sqrt(count)
        mean, color = values.mean(1), COLORS[variant]
        axes.plot(steps, mean, color=color, label=LABELS[variant])
        axes.fill_between(steps, mean - half, mean + half, color=color, alpha=0.13, linewidth=0)
        late = values[np.array(steps) > max(steps) / 2].mean(0)
        area = values.mean(0)
        print(f"{variant}: second half {late.mean():.1f} ± {late.std(ddof=1):.1f}, "
              f"whole curve {area.mean():.1f} ± {area.std(ddof=1):.1f}")  # fmt: skip
    axes.set(
        title=f"{results.name}: evaluation return, mean of {count} seeds, 95 % intervals",
        xlabel="environment steps",
        ylabel="return",
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(results / "returns.png", dpi=120)


if __name__ == "__main__":
    tyro.cli(draw)
