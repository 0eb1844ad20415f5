"""The plot of a run: return against steps, every seed and their mean."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxsac.runs import files
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.metrics import metrics

if TYPE_CHECKING:  # imported where something is drawn: it takes as long as all the rest
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(run: RunDirectory, tell: Callable[[str], None]) -> Path | None:
    """`write`, of a run that is saved already: where it cannot be written, that is said.

    Args:
      run: the run.
      tell: says a sentence to whoever watches.

    Returns:
      As `write`, or None where it could not be written.
    """
    try:
        return write(run)
    except OSError as error:
        tell(f"the learning curve of {run.path} could not be drawn ({error}); all else is saved.")
        return None


def write(run: RunDirectory) -> Path | None:
    """Writes `figure(run)` to `report/learning_curve.png` of the run.

    Returns:
      Where it is, or None when the metrics hold no return yet.
    """
    drawn = figure(run)
    if drawn is None:
        return None
    path = run.report / "learning_curve.png"
    path.parent.mkdir(exist_ok=True)
    content = io.BytesIO()
    drawn.savefig(content, format="png", dpi=150)
    files.write(path, content.getvalue())
    return path


def figure(run: RunDirectory, point: int | None = None) -> Figure | None:
    """Draws return against steps from the metrics of a run, with the seeds that were added to it.

    Thin lines are seeds, the thick line is their mean: deterministic evaluations, and the returns
    of the training episodes (the sampled policy) where they were measured.

    Args:
      run: the run.
      point: of a sweep, the one whose seeds are drawn; all members by default.

    Returns:
      The figure, or None when the metrics hold no return yet.
    """
    config, rows, population = run.config(), [], 0
    for group in run.groups():
        names, seeds = group.config().member_names, group.config().seeds
        if point is not None:
            names = names[point * seeds : (point + 1) * seeds]
        tables = [metrics.path(group.metrics, name) for name in names]
        rows += [metrics.read(table) for table in tables if table.exists()]
        population += len(tables)
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7, 4.5), layout="constrained")
    axes = drawn.subplots()
    curves = [
        _curves(axes, rows, "train_return", "training episodes (sampled policy)", "0.55"),
        _curves(axes, rows, "eval_return", "evaluation (deterministic policy)", "C0"),
    ]
    if not any(curves):
        return None
    members = "member" if len(config.points) > 1 and point is None else "seed"
    count = f"{population} {members}" + ("s" if population > 1 else "")
    axes.set(title=f"{config.env}, {count}", ylabel="return")
    label_steps(axes)
    axes.legend(frameon=False)
    return drawn


def label_steps(axes: Axes) -> None:
    """The axis of the steps as all learning curves have it, and a grid."""
    axes.set(xlabel="environment steps per seed")
    from matplotlib.ticker import EngFormatter

    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.3)


def _curves(
    axes: Axes,
    rows: list[list[dict[str, float | None]]],
    column: str,
    label: str,
    color: str,
) -> bool:
    curves = [
        np.array([(row["step"], row[column]) for row in seed if row[column] is not None], float)
        for seed in rows
    ]
    curves = [curve for curve in curves if len(curve)]
    if not curves:
        return False
    if len(curves) > 1:
        for curve in curves:
            axes.plot(*curve.T, color=color, alpha=0.35, linewidth=0.8)
    # Seeds may end their episodes at different steps; the mean is taken on all those steps within
    # the range that every seed covers.
    low, high = max(c[0, 0] for c in curves), min(c[-1, 0] for c in curves)
    steps = np.unique(np.concatenate([c[:, 0] for c in curves]))
    steps = steps[(steps >= low) & (steps <= high)]
    mean = np.mean([np.interp(steps, *curve.T) for curve in curves], axis=0)
    label = f"{label}: mean" if len(curves) > 1 else label
    axes.plot(steps, mean, color=color, linewidth=2, label=label)
    return True
