"""What a sweep found: its table, and its plot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from jaxsac.runs.settings import labels
from jaxsac.sweeps.plan import Group


def best_first(scores: dict[int, np.ndarray]) -> list[int]:
    """The points by their mean score; a point with a NaN comes last."""
    means = {point: float(np.mean(values)) for point, values in scores.items()}
    return sorted(means, key=lambda point: -np.nan_to_num(means[point], nan=-np.inf))


def table(groups: list[Group], scores: dict[int, np.ndarray]) -> Table:
    """Settings and scores of every point, the best first."""
    points = [point for group in groups for point in group.points]
    several = any(values.size > 1 for values in scores.values())
    spread = ", ± standard deviation of seeds" if several else ""
    shown = Table(title=f"mean return in the last fifth of the steps{spread}")
    for heading in (*points[0], "return"):
        shown.add_column(heading, justify="right")
    for point in best_first(scores):
        values = scores[point]
        shown.add_row(
            *(labels.setting(value) for value in points[point].values()),
            f"{values.mean():,.1f}" + (f" ± {values.std():,.1f}" if several else ""),
        )
    return shown


def plot(
    file: Path, groups: list[Group], rows: list[dict[str, Any]], scores: dict[int, np.ndarray],
    column: str,
) -> None:  # fmt: skip
    """Draws the mean learning curve of each point, and the score of each seed beside it.

    Args:
      file: where.
      groups: as planned.
      rows: of `sweeps.results.rows`.
      scores: of `sweeps.results.scores`.
      column: the return that is shown.
    """
    points = [point for group in groups for point in group.points]
    order = best_first(scores)
    height = max(4.0, 0.28 * len(order) + 1.5)
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    figure = Figure(figsize=(12, height), layout="constrained")
    left, right = figure.subplots(1, 2)
    for rank, point in enumerate(order):
        color = matplotlib.colormaps["viridis_r"](rank / max(1, len(order) - 1))
        mine = [row for row in rows if row["point"] == point and row[column] is not None]
        steps = sorted({row["step"] for row in mine})
        means = [np.mean([row[column] for row in mine if row["step"] == step]) for step in steps]
        left.plot(steps, means, color=color, linewidth=1.5, zorder=-rank)
        right.plot(scores[point], [rank] * len(scores[point]), "o", color=color, alpha=0.6)
        right.plot([scores[point].mean()], [rank], "|", color="black", markersize=12)
    left.set(xlabel="environment steps per seed", ylabel="return", title="mean of the seeds")
    left.xaxis.set_major_formatter(EngFormatter(sep=""))
    right.set(
        xlabel="return", title="last fifth of the steps: seeds, and their mean (bar)",
        yticks=range(len(order)), yticklabels=[labels.settings(points[point]) for point in order],
    )  # fmt: skip
    right.invert_yaxis()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.suptitle(
        f"{groups[0].config.env}, {len(points)} points × {groups[0].config.seeds} seeds"
    )
    figure.savefig(file, dpi=130)
