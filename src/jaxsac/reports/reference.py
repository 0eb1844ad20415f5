"""Published learning curves, to be drawn beside one's own; they are never pooled with them."""

from __future__ import annotations

import csv
from importlib import resources
from typing import NamedTuple

import numpy as np

from jaxsac.reports import statistics

SOURCES = {
    "github.com/DAVIAN-Robotics/SimbaV2@86899c2": (
        "results/baseline of the SimbaV2 repository, commit 86899c2 (Lee et al. 2025, "
        "arXiv:2502.15280): 10 seeds, Gymnasium v4, deterministic evaluations; SAC with learning "
        "rates of 1e-3 and one episode an evaluation, as far as can be told"
    )
}
"""What the column `source` of published.csv stands for."""


class Reference(NamedTuple):
    """The published seeds of one algorithm in one environment."""

    algorithm: str
    seeds: int
    steps: np.ndarray
    iqm: np.ndarray
    source: str
    """A key of `SOURCES`."""


def published(env: str, last_step: float = np.inf) -> list[Reference]:
    """The IQM of published seeds.

    Args:
      env: id, with its version; other versions are not taken for it.
      last_step: where the curves shall end.

    Returns:
      One for each algorithm; none where nothing is known of the environment, or a single point up
      to the last step, which draws no line.
    """
    text = (resources.files("jaxsac.reports") / "published.csv").read_text(encoding="utf-8")
    curves: dict[tuple[str, str], dict[float, list[float]]] = {}
    seeds: dict[tuple[str, str], set[str]] = {}
    for row in csv.DictReader(text.splitlines()):
        if row["env"] == env and float(row["step"]) <= last_step:
            key = row["algorithm"], row["source"]
            at_step = curves.setdefault(key, {}).setdefault(float(row["step"]), [])
            at_step.append(float(row["return"]))
            seeds.setdefault(key, set()).add(row["seed"])
    return [
        Reference(
            algorithm,
            len(seeds[algorithm, source]),
            np.array(sorted(curve)),
            np.array([statistics.iqm(np.array(curve[step])) for step in sorted(curve)]),
            source,
        )
        for (algorithm, source), curve in curves.items()
        if len(curve) > 1
    ]
