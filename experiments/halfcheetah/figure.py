"""HalfCheetah-v4 over published curves: `python figure.py [RUN]`.

With a run directory its evaluations are first copied to `results/`; without one the figure is
drawn again from what is stored there.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from jaxsac.runs.directory.directory import RunDirectory

sys.path.append(str(Path(__file__).parents[1]))

from study_runs import store

HERE = Path(__file__).parent
RESULTS = HERE / "results"
MORE = ("eval_return_std", "train_return", "wall_time")
"""What is stored of an evaluation beside its mean."""
CHECKPOINTS = (50_000, 100_000, 200_000, 300_000)

Curves = dict[str, np.ndarray]
"""By seed: (points, 2) of step and return."""


def load(file: Path, column: str) -> dict[str, Curves]:
    """Curves by source and seed."""
    points: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    with file.open() as lines:
        for row in csv.DictReader(lines):
            source = row.get("source", "jaxsac")
            points[source][row["seed"]].append((float(row["step"]), float(row[column])))
    return {
        source: {seed: np.array(curve) for seed, curve in seeds.items()}
        for source, seeds in points.items()
    }


def mean_curve(curves: Curves) -> np.ndarray:
    """(points, 2): the mean over seeds, on the first seed's steps."""
    steps = next(iter(curves.values()))[:, 0]
    return np.stack([steps, np.mean([np.interp(steps, *c.T) for c in curves.values()], axis=0)], 1)


def table(curves: dict[str, Curves]) -> str:
    """Mean ± standard deviation over seeds at a few steps, as Markdown."""
    head = " | ".join(f"{step // 1000}k" for step in CHECKPOINTS)
    lines = [f"| source | seeds | {head} |", "|---" * (2 + len(CHECKPOINTS)) + "|"]
    for source, seeds in curves.items():
        cells = []
        for step in CHECKPOINTS:
            values = [
                np.interp(step, *curve.T) for curve in seeds.values() if curve[-1, 0] >= step - 5000
            ]
            cells.append(f"{np.mean(values):,.0f} ± {np.std(values):,.0f}" if values else "–")
        lines.append(f"| {source} | {len(seeds)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(curves: dict[str, Curves]) -> None:
    """Every seed as a thin line, every source's mean as a thick one."""
    labels = {
        "jaxrl": "jaxrl, v2, 10 seeds (published)",
        "SimbaV2 repository": "SAC in the SimbaV2 repository, v4, 10 seeds (published)",
        "jaxsac": f"jaxsac, v4, {len(curves['jaxsac'])} seeds",
    }
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    axes = figure.subplots()
    for (source, label), color in zip(labels.items(), ("0.45", "C1", "C0"), strict=True):
        for curve in curves[source].values():
            axes.plot(*curve.T, color=color, alpha=0.3, linewidth=0.8)
        axes.plot(*mean_curve(curves[source]).T, color=color, linewidth=2.2, label=label)
    axes.set(
        title="HalfCheetah, deterministic evaluation return (thin: seeds, thick: mean)",
        xlabel="environment steps",
        ylabel="return",
        xlim=(0, 310_000),
    )
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(RESULTS / "learning_curve.png", dpi=130)


def main() -> None:
    """Collects a run if one is given, prints the table and draws the figure."""
    if len(sys.argv) > 1:
        store(RunDirectory(Path(sys.argv[1])), RESULTS, MORE)
    curves = load(RESULTS / "returns.csv", "eval_return") | load(HERE / "published.csv", "return")
    print(table(curves))
    draw(curves)


if __name__ == "__main__":
    main()
