"""The figures of an inspection: one for each subject, all seeds in it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from jaxsac.inspection.curves import NORMS
from jaxsac.inspection.gradients import TERMS
from jaxsac.inspection.inspect import Inspection
from jaxsac.inspection.saturation import HALF
from jaxsac.reports.figures import COLORS, DASHES, INK, OTHERS, WIDTH
from jaxsac.runs.metrics.learning_curve import label_steps

Numbers = list[dict[str, Any]]
"""Of one subject, a member each."""
MOST_POINTS = 1200
MOST_DIMENSIONS = 32
LONGEST_OF_TWO = 28
"""Letters of a label beside which there is room for another."""


def draw(inspection: Inspection) -> dict[str, Figure]:
    """The figures by subject; none of a subject without numbers."""
    found = {}
    for subject, drawing in DRAWINGS.items():
        known = [
            {**member.sections[subject].numbers, "heading": member.heading}
            for member in inspection.members
            if member.sections[subject].numbers
        ]
        figure = drawing(known) if known else None
        if figure is not None:
            found[subject] = figure
    return found


def entropy(members: Numbers) -> Figure:
    """Entropy and its target over training, and α below."""
    figure = _figure(4.6)
    above, below = figure.subplots(2, sharex=True)
    for numbers, color, label in _colored(members):
        _line(above, numbers, "entropy", color, label, len(members))
        _line(below, numbers, "alpha", color, label, len(members))
    targets = {x["target_entropy"].tobytes(): x for x in members if "target_entropy" in x}
    for numbers in targets.values():  # those of a sweep may differ
        _line(above, numbers, "target_entropy", INK, "target", 1, DASHES[1])
    above.set(ylabel="entropy, nats")
    below.set(ylabel="α (temperature)")
    alpha = np.concatenate([numbers["alpha"] for numbers in members])
    if np.nanmax(alpha) > 10 * np.nanmin(alpha) > 0:
        below.set_yscale("log")
        below.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        below.yaxis.set_minor_formatter(NullFormatter())
    label_steps(below)
    above.grid(alpha=0.3)
    _title(figure, "Entropy against its target, and the temperature")
    _legend(above)
    return figure


def values(members: Numbers) -> Figure:
    """min Q against the soft return, a point each state."""
    figure = _figure(4.2)
    axes = figure.subplots()
    for numbers, color, label in _colored(members):
        every = max(len(numbers["q_min"]) * len(members) // MOST_POINTS, 1)
        axes.plot(
            numbers["soft_return"][::every], numbers["q_min"][::every], ".", markersize=3,
            alpha=0.5, color=color, label=label,
        )  # fmt: skip
    both = np.concatenate([n[name] for n in members for name in ("q_min", "soft_return")])
    ends = [both.min(), both.max()]
    axes.plot(ends, ends, color=INK, linewidth=1, linestyle=DASHES[1], label="no error")
    axes.set(xlabel="soft return, discounted", ylabel="min Q(s, a)")
    axes.grid(alpha=0.3)
    _title(figure, "Q against returns; above the line is over-estimation")
    _legend(axes)
    return figure


def saturation(members: Numbers) -> Figure:
    """The share of saturated actions in each dimension: under the policy, and in replay."""
    size = min(len(members[0]["policy"]["share"]), MOST_DIMENSIONS)
    figure = _figure(3.2)
    axes = figure.subplots()
    places = np.arange(size)
    for offset, color, kind in ((-0.2, COLORS[0], "policy"), (0.2, OTHERS, "replay")):
        shares = [numbers[kind]["share"][:size] for numbers in members if kind in numbers]
        if not shares:
            continue
        name = {"policy": "under the policy", "replay": "in replay"}[kind]
        _bars(axes, places + offset, np.array(shares), 0.38, color, name)
    axes.axhline(HALF, color=INK, linewidth=0.8, linestyle=DASHES[1], label="looks bad above")
    axes.set(xlabel="action dimension", ylabel="share of |a| > 0.99", ylim=(0, 1.02))
    axes.set(xticks=places, xlim=(-0.7, max(size, 3) - 0.3))
    _title(figure, "Saturated actions" + " (dots: seeds)" * (len(members) > 1))
    _legend(axes)
    return figure


def gradient_terms(members: Numbers) -> Figure:
    """Norm and standard deviation of each term of the actor's gradient."""
    figure = _figure(3.4)
    axes = figure.subplots()
    places = np.arange(len(TERMS))
    kinds = (
        (-0.27, COLORS[0], "norm of one estimate", lambda x: x["norm"]),
        (0.0, COLORS[2], "norm of the mean over keys", lambda x: x["norm_of_mean"]),
        (0.27, COLORS[1], "√variance over keys", lambda x: x["variance"] ** 0.5),
    )
    for offset, color, name, of in kinds:
        heights = np.array([[of(numbers[term]) for term in TERMS] for numbers in members])
        _bars(axes, places + offset, heights, 0.25, color, name)
    axes.set_xticks(places, [term.replace("q_", "Q ").replace("_", " ") for term in TERMS])
    axes.set(ylabel="norm, or √variance")
    _title(figure, "Terms of the actor's gradient" + " (dots: seeds)" * (len(members) > 1))
    _legend(axes)
    return figure


def gradient_norms(members: Numbers) -> Figure | None:
    """Gradient norms over training, each in axes of its own."""
    names = [name for name in NORMS if any(name in numbers for numbers in members)]
    if not names:  # every update was left out
        return None
    figure = _figure(1.2 + 1.4 * len(names))
    each = figure.subplots(len(names), sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(each, names, strict=True):
        for numbers, color, label in _colored(members):
            if name in numbers:
                _line(axes, numbers, name, color, label, len(members))
        axes.set(ylabel=name.split("_")[0], yscale="log")
        axes.grid(alpha=0.3)
    label_steps(each[-1])
    figure.align_ylabels(each)
    _title(figure, "Gradient norms over training")
    _legend(each[0])
    return figure


def features(members: Numbers) -> Figure | None:
    """Dead units of each layer, and the effective rank of the last features."""
    rows: list[tuple[str, list[float], str]] = []
    for name, color in (("actor", COLORS[0]), ("critic", COLORS[1])):
        known = [numbers[name] for numbers in members if name in numbers]
        if not known:
            continue
        for layer in range(len(known[0].get("dead", ()))):
            dead = [share for each in known for share in each["dead"][layer]]
            rows.append((f"{name}: dead in layer {layer + 1}", dead, color))
        ranks = [rank / each["width"] for each in known for rank in each["srank"]]
        rows.append((f"{name}: srank / features", ranks, color))
    if not rows:
        return None
    figure = _figure(0.9 + 0.32 * len(rows))
    axes = figure.subplots()
    for place, (_, shares, color) in enumerate(rows):
        axes.barh(place, np.mean(shares), 0.7, color=color)
        if len(shares) > 1:
            axes.plot(shares, [place] * len(shares), ".", color=INK, markersize=4)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.02), xlabel="share (dots: seeds and critics)")
    axes.grid(alpha=0.3, axis="x")
    axes.set_axisbelow(True)
    _title(figure, "Dead units, and effective rank of the last features")
    return figure


def replay(members: Numbers) -> Figure | None:
    """The range of each dimension of the observations, and mean ± deviation within it."""
    size = sum(len(x["min"]) for x in members[0]["observations"].values())
    if not size:
        return None
    figure = _figure(3.4)
    axes = figure.subplots()

    def over_members(name: str) -> np.ndarray:
        found = [np.concatenate([x[name] for x in n["observations"].values()]) for n in members]
        return np.stack(found)[:, :MOST_DIMENSIONS]

    low, high = over_members("min").min(axis=0), over_members("max").max(axis=0)
    mean, std = over_members("mean").mean(axis=0), over_members("std").mean(axis=0)
    places = np.arange(len(low))
    axes.vlines(places, low, high, color=OTHERS, linewidth=1.5, label="min to max")
    axes.errorbar(places, mean, std, fmt="o", color=COLORS[0], markersize=3, label="mean ± std")
    axes.set(xlabel="observation dimension", ylabel="value, in its own unit")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if max(np.abs(low).max(), np.abs(high).max()) > 100 * np.median(std):
        axes.set_yscale("symlog")
    axes.grid(alpha=0.3, axis="y")
    first = f" (the first {MOST_DIMENSIONS} of {size})" * (size > MOST_DIMENSIONS)
    _title(figure, f"Observations in replay{first}")
    _legend(axes)
    return figure


DRAWINGS: dict[str, Callable[[Numbers], Figure | None]] = {
    "entropy": entropy,
    "values": values,
    "saturation": saturation,
    "gradient_terms": gradient_terms,
    "gradient_norms": gradient_norms,
    "features": features,
    "replay": replay,
}


def _colored(members: Numbers) -> list[tuple[dict[str, Any], str, str]]:
    """Each member with its colour, and its name where there are colours enough to tell them."""
    few = len(members) <= len(COLORS)
    colors = itertools.cycle(COLORS)
    return [(x, color, x["heading"] * few) for x, color in zip(members, colors, strict=False)]


def _line(
    axes: Axes, numbers: dict[str, Any], name: str, color: str, label: str, count: int,
    dashes: Any = "-",
) -> None:  # fmt: skip
    """A curve over the steps; those of many seeds are thin."""
    known = np.isfinite(numbers[name])
    mark = "o" if known.sum() == 1 else None
    axes.plot(
        numbers["step"][known], numbers[name][known], color=color, linestyle=dashes, label=label,
        linewidth=1.5 if count == 1 else 0.9, alpha=1 if count == 1 else 0.7, marker=mark,
    )  # fmt: skip


def _bars(
    axes: Axes, places: np.ndarray, heights: np.ndarray, width: float, color: str, label: str
) -> None:
    """A bar for the mean over seeds (S, N), and a dot for each of several."""
    axes.bar(places, heights.mean(axis=0), width, color=color, label=label)
    for height in heights if len(heights) > 1 else ():
        axes.plot(places, height, ".", color=INK, markersize=3)


def _figure(height: float) -> Figure:
    return Figure(figsize=(WIDTH, height), layout="constrained")


def _title(figure: Figure, text: str) -> None:
    figure.suptitle(text, x=0.01, ha="left", fontsize=11)


def _legend(axes: Axes) -> None:
    """Below the axes, a line for each label."""
    handles, names = axes.get_legend_handles_labels()
    unique = dict(zip(names, handles, strict=True))
    if not unique:  # of many members, which have no colours of their own
        return
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    figure.legend(
        unique.values(),
        unique.keys(),
        loc="outside lower left",
        frameon=False,
        ncols=1 if max(map(len, unique)) > LONGEST_OF_TWO else 2,
        markerscale=3,
    )
