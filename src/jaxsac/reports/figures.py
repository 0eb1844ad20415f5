"""The figures of a report, for paper and for the page, in colours that colour-blind people tell."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from jaxsac.reports.across import THRESHOLDS, Across
from jaxsac.reports.numbers import Improvement, Result, Task, ranked
from jaxsac.reports.reference import Reference
from jaxsac.reports.statistics import Estimate
from jaxsac.runs.metrics.learning_curve import label_steps
from jaxsac.runs.metrics.scores import window_start
from jaxsac.runs.settings import labels

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's, without black, which is for text, and yellow, which is hard to see on white."""
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (5, 1, 1, 1)))
"""Together with the colours, so that no two curves are drawn alike."""
OTHERS = "#999999"
MOST_CURVES = 12
"""Populations that are drawn in colours of their own: of more, the best."""
MOST_FULL = 4
"""Populations whose seeds and intervals are drawn too: of more, those of the best two."""
MOST_ROWS = 16
"""Of the figures with a row for each: the best; tables have all."""
LONGEST_LABEL = 46
INK = "#010203"
"""Of text and axes: a colour that nothing else has, so that a page can put its own in its place."""
WIDTH = 5.2
"""Inches, so that a figure can be read on a phone too."""
STYLE: Any = {
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "legend.fontsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "font.family": "sans-serif",
}
"""For `matplotlib.rc_context`, around the drawing and the saving."""
WITH_NAMES: Any = STYLE | {"text.parse_math": False}
"""For figures with names of runs, where a $ is a letter; they have no logarithmic axes."""
Look = tuple[str, object]


def learning_curves(task: Task, references: Sequence[Reference] = ()) -> Figure:
    """Return against steps: seeds thin, their IQM thick, and its 95 % interval as a band."""
    looks = _looks(task)
    rows = len(_named(task)) + len(references) + (len(task.results) > len(looks))
    figure = _figure(3.4 + 0.2 * rows)
    axes = figure.subplots()
    for result in task.results:
        if result.label not in looks:
            axes.plot(result.curve.steps, result.curve.iqm, color=OTHERS, linewidth=0.6, zorder=1)
    few = len(task.results) <= MOST_FULL
    full = {result.label for result in ranked(task.results)[: None if few else 2]}
    names = _with_seeds(task)
    for result in _named(task):
        _curve(axes, result, looks[result.label], result.label in full, names[result.label])
    for reference, dashes in zip(references, itertools.cycle(DASHES[1:])):
        label = f"{reference.algorithm} as published, {reference.seeds} seeds"
        axes.plot(
            reference.steps, reference.iqm, color=INK, linestyle=dashes, linewidth=1.2, label=label
        )
    if len(task.results) > len(looks):
        label = f"{len(task.results) - len(looks)} others, IQM"
        axes.plot([], [], color=OTHERS, linewidth=0.8, label=label)
    _title(axes, task.env)
    axes.set(ylabel=_ylabel(task))
    label_steps(axes)
    _legend(figure, axes)
    return figure


def scores(task: Task) -> Figure:
    """The final score of every seed, and the IQM of each population with its 95 % interval."""
    looks, results = _looks(task), ranked(task.results)
    shown = results[:MOST_ROWS]
    figure = _figure(0.9 + 0.5 * len(shown))
    axes = figure.subplots()
    for row, result in enumerate(shown):
        color = looks.get(result.label, (OTHERS, "-"))[0]
        values = sorted(result.finals.values())
        axes.scatter(values, _spread(row, len(values)), s=14, color=color, alpha=0.45, linewidths=0)
        _interval(axes, row, result.final, color)
    _title(axes, f"{task.env}: final score{_of(shown, results)}")
    window = window_start(task.start, task.end), task.end
    begin, end = (EngFormatter(sep="")(step) for step in window)
    axes.set(xlabel=f"mean return, {begin} to {end} steps")
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    names = _with_seeds(task)
    _rows(axes, [names[result.label] for result in shown])
    return figure


def improvements(found: Sequence[Improvement], title: str) -> Figure:
    """How likely a seed of one scores higher than a seed of the other, pair by pair."""
    shown = found[:MOST_ROWS]
    figure = _figure(0.9 + 0.5 * len(shown))
    axes = figure.subplots()
    axes.axvline(0.5, color=INK, linewidth=0.8, linestyle=DASHES[1])
    for row, each in enumerate(shown):
        _interval(axes, row, each.probability, COLORS[0] if each.better else OTHERS)
    of = "a seed of the first"
    names = labels.apart([name for each in found for name in each[:2]], LONGEST_LABEL)
    lines = [f"{names[each.first]} over {names[each.second]}" for each in shown]
    if len(found) > 1 and len({each.first for each in found}) == 1:  # the best, and all others
        of = "a seed of the best"
        lines = [f"over {names[each.second]}" for each in shown]
    _title(axes, f"{title}{_of(shown, found)}")
    doubt = "; grey: not sure" * any(not each.better for each in shown)
    axes.set(xlim=(-0.04, 1.04), xlabel=f"P({of} scores higher){doubt}")
    _rows(axes, lines)
    return figure


def profiles(across: Across) -> Figure:
    """Share of seeds, of all environments, that score above each normalized score."""
    figure = _figure(3.4 + 0.2 * len(across.methods))
    axes = figure.subplots()
    looks = itertools.cycle(_all_looks())
    names = labels.apart([method.label for method in across.methods], LONGEST_LABEL)
    for method, (color, dashes) in zip(across.methods, looks, strict=False):
        axes.step(
            THRESHOLDS, method.profile, where="post", color=color, linestyle=dashes,
            label=_shown(names[method.label]),
        )  # fmt: skip
        if method.low is not None and method.high is not None:
            axes.fill_between(
                THRESHOLDS,
                method.low,
                method.high,
                step="post",
                color=color,
                alpha=0.2,
                linewidth=0,
            )
    _title(axes, f"Performance profiles, {len(across.envs)} environments")
    axes.set(
        xlabel="normalized final score τ (0: lowest seed of each environment, 1: highest)",
        ylabel="share of seeds above τ",
        ylim=(-0.02, 1.02),
    )
    axes.grid(alpha=0.3)
    _legend(figure, axes)
    return figure


def _curve(axes: Axes, result: Result, look: Look, full: bool, label: str) -> None:
    color, dashes = look
    curve, series = result.curve, result.population.series
    if full and len(series) > 1:
        for values in series.values():
            thin = max(0.08, 0.5 / len(series) ** 0.5)
            axes.plot(*values.T, color=color, alpha=thin, linewidth=0.7, zorder=1.5)
    mark = "o" if len(curve.steps) == 1 else None
    axes.plot(
        curve.steps, curve.iqm, color=color, linestyle=dashes, linewidth=2, zorder=3, marker=mark,
        label=label,
    )  # fmt: skip
    if full and curve.low is not None and curve.high is not None:
        axes.fill_between(
            curve.steps, curve.low, curve.high, color=color, alpha=0.22, linewidth=0, zorder=2
        )


def _interval(axes: Axes, row: int, found: Estimate, color: str) -> None:
    if found.low is not None and found.high is not None:
        axes.plot([found.low, found.high], [row, row], color=color, linewidth=2, zorder=3)
    axes.plot(
        [found.value], [row], "o", color=color, markersize=7, markeredgecolor=INK,
        markeredgewidth=0.8, zorder=4,
    )  # fmt: skip


def _rows(axes: Axes, names: list[str]) -> None:
    """A row for each name, the first on top; names stand over their rows, long as they may be."""
    for row, name in enumerate(names):
        axes.text(
            0.01, row - 0.4, name, transform=axes.get_yaxis_transform(), fontsize=8.5, va="center"
        )
    axes.set(yticks=[], ylim=(len(names) - 0.65, -0.7))
    axes.spines.left.set_visible(False)
    axes.grid(alpha=0.3, axis="x")


def _spread(row: int, count: int) -> np.ndarray:
    """Heights around a row, so that seeds with one score are seen apart."""
    return row + 0.17 * np.sin(np.arange(count) * 2.4) * (count > 1)


def _looks(task: Task) -> dict[str, Look]:
    """A colour and a dash for each population; of very many, for the best."""
    return dict(zip((result.label for result in _named(task)), _all_looks(), strict=False))


def _named(task: Task) -> list[Result]:
    if len(task.results) <= MOST_CURVES:
        return task.results
    return ranked(task.results)[:MOST_CURVES]


def _all_looks() -> list[Look]:
    return [(color, dashes) for dashes in DASHES for color in COLORS]


def _with_seeds(task: Task) -> dict[str, str]:
    """By label: what a population is called in a figure, and how many seeds it has."""
    names = labels.apart([result.label for result in task.results], LONGEST_LABEL)
    counts = {result.label: len(result.finals) for result in task.results}
    return {
        label: f"{_shown(names[label])} ({count} seed{'s' * (count > 1)})"
        for label, count in counts.items()
    }


def _shown(name: str) -> str:
    """As a legend takes it: matplotlib leaves out what begins with an underscore."""
    return f" {name}" if name.startswith("_") else name


def _ylabel(task: Task) -> str:
    of = {"eval_return": "evaluation", "train_return": "training episodes"}
    return f"return ({of[task.results[0].population.column]})"


def _of(shown: Sequence[object], every: Sequence[object]) -> str:
    return f", {len(shown)} of {len(every)}" if len(shown) < len(every) else ""


def _title(axes: Axes, text: str) -> None:
    """From the left edge of the whole figure, whatever stands left of its axes."""
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    figure.suptitle(text, x=0.01, ha="left", fontsize=11)


def _figure(height: float) -> Figure:
    return Figure(figsize=(WIDTH, height), layout="constrained")


def _legend(figure: Figure, axes: Axes) -> None:
    """Below the axes, where it hides nothing."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", frameon=False)
