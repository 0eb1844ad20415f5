"""How training went, by its metrics: entropy, temperature, gradient norms, updates left out."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxsac.inspection.section import Section, number
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.metrics import metrics

NORMS = ("actor_gradient_norm", "critic_gradient_norm", "alpha_gradient_norm")
OFF = 0.25
"""Nats from the target, for each action dimension."""
LARGE = 10.0
"""Growth of a gradient norm from the first half of training to its end."""
LAST = 0.2
"""Share of the rows that count as the end."""
NONE = "the metrics have no {} yet: no update was logged, or none that was finite."


def read(run: RunDirectory, name: str, last: int | None = None) -> dict[str, np.ndarray]:
    """The columns of a member's metrics, NaN where a cell is empty; {} without metrics.

    Args:
      run: the run.
      name: of the member's files.
      last: step after which rows are left out; None leaves none out.
    """
    file = metrics.path(run.metrics, name)
    rows = metrics.read(file) if file.exists() else []
    rows = [row for row in rows if last is None or (row["step"] or 0) <= last]
    names = dict.fromkeys(name for row in rows for name in row)
    return {
        name: np.array([np.nan if row.get(name) is None else row[name] for row in rows], float)
        for name in names
    }


def entropy(
    columns: dict[str, np.ndarray], actions: int, alpha_lr: float, target: float | None = None
) -> Section:
    """Entropy against its target, and the temperature.

    Args:
      columns: of the metrics.
      actions: dimensions of an action.
      alpha_lr: of the member; 0: the temperature is fixed.
      target: entropy that the agent steers to, for metrics of older versions, which lack it.
    """
    kept = _known(columns, ("entropy", "target_entropy", "alpha"))
    if "entropy" not in kept or "alpha" not in kept:
        return Section.without(NONE.format("entropy"))
    if "target_entropy" not in kept and target is not None:
        kept["target_entropy"] = np.full(len(kept["step"]), target)
    section = Section(numbers=kept)
    end = {name: _end(values) for name, values in kept.items() if name != "step"}
    there, fixed = end.get("target_entropy", np.nan), not alpha_lr
    off = abs(end["entropy"] - there) / actions
    section.add(
        "entropy at the end, target", f"{number(end['entropy'])}, {number(there)} nats",
        f"Within {OFF:g} nats of the target for each action dimension, unless α is fixed.",
        off > OFF and not fixed,
    )  # fmt: skip
    alpha = kept["alpha"][np.isfinite(kept["alpha"])]
    section.add(
        "α at the end", number(end["alpha"]),
        "Settled: neither fallen to nothing (below 1e-5) nor growing, which says that the target "
        "cannot be reached.",
        not fixed and (end["alpha"] < 1e-5 or (end["alpha"] > 10 * np.median(alpha))),
    )  # fmt: skip
    if fixed:
        section.notes.append("alpha_lr is 0: the temperature is fixed, and steers to no target.")
    return section


def norms(columns: dict[str, np.ndarray]) -> Section:
    """Norms of the gradients over training, and updates left out."""
    section = Section(numbers=_known(columns, NORMS))
    for name in ("actor_gradient_norm", "critic_gradient_norm"):  # α's swings around 0
        if name not in section.numbers:
            continue
        values = section.numbers[name][np.isfinite(section.numbers[name])]
        start, end = np.median(values[: max(len(values) // 2, 1)]), _end(values)
        growth = end / start if start > 0 else np.nan
        section.add(
            f"{name.split('_')[0]}: norm at the end (× that of the first half)",
            f"{number(end)} (× {number(growth)})",
            f"Growth by less than {LARGE:g} times: gradients that keep growing come before "
            "divergence.",
            growth > LARGE,
        )  # fmt: skip
    if not section.numbers:
        section.left_out.append(NONE.format("gradient norms"))
    skipped = columns.get("skipped", np.array([]))
    skipped = skipped[np.isfinite(skipped)]
    if len(skipped):
        section.add(
            "updates left out", f"{skipped[-1]:,.0f}",
            "None: an update is left out where a loss or gradient was not finite.", skipped[-1] > 0,
        )  # fmt: skip
        section.numbers["skipped"] = int(skipped[-1])
    return section


def _known(columns: dict[str, np.ndarray], names: tuple[str, ...]) -> dict[str, Any]:
    """The step, and those of the columns that hold a number."""
    found = {name: columns[name] for name in names if np.isfinite(columns.get(name, np.nan)).any()}
    return {"step": columns["step"], **found} if found else {}


def _end(values: np.ndarray) -> float:
    """The mean over the last fifth of the numbers that there are."""
    values = values[np.isfinite(values)]
    return float(values[-max(round(LAST * len(values)), 1) :].mean())
