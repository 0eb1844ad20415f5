"""What the study stored, read back, and the numbers that follow from it."""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from moments import TERMS

sys.path.append(str(Path(__file__).parents[1]))

from statistics_of_seeds import interval

ESTIMATORS = {"total": (1, 1, 1, 0), "path": (0, 1, 1, 0), "score": (0, 0, 0, 1)}
"""As sums of `moments.TERMS`."""
LABELS = {"total": "total", "path": "path", "samples4": "total, 4 samples", "score": "score"}
"""What each variant is called for a person."""
BATCH_SIZE = 256

Table = dict[tuple[str, int], dict[str, np.ndarray]]
"""By variant and step: (seeds, 4, 4) of each part of `moments.Moments`."""
Returns = dict[int, dict[int, float]]
"""By seed and step: the mean return of an evaluation."""


def variants_of(results: Path) -> list[str]:
    """Those with results, in the order of `LABELS`."""
    return [name for name in LABELS if _rows(results / name, "moments.csv")]


def moments_of(results: Path) -> Table:
    """The stored moments as symmetric matrices."""
    rows = defaultdict(lambda: defaultdict(list))
    for variant in variants_of(results):
        for row in _rows(results / variant, "moments.csv"):
            for part in ("mean", "noise", "states"):
                matrix = np.zeros((len(TERMS), len(TERMS)))
                for i, x in enumerate(TERMS):
                    for j in range(i, len(TERMS)):
                        matrix[i, j] = matrix[j, i] = float(row[f"{part}:{x}:{TERMS[j]}"])
                rows[variant, int(row["step"])][part].append(matrix)
    return {k: {part: np.array(m) for part, m in parts.items()} for k, parts in rows.items()}


def returns_of(results: Path, variant: str) -> Returns:
    """The evaluations of every seed."""
    found: Returns = defaultdict(dict)
    for row in _rows(results / variant, "returns.csv"):
        found[int(row["seed"])][int(float(row["step"]))] = float(row["eval_return"])
    return dict(found)


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


def gradient_table(results: Path) -> Iterator[str]:
    """In Markdown: the gradient of the agents of `total`, means over seeds."""
    table = moments_of(results)
    steps = steps_of(table, "total")
    yield f"| {results.name}, updates | share cancelled | variance | SNR: total | path | score |"
    yield "|---|---|---|---|---|---|"
    for step in steps:
        parts = table["total", step]
        ratios = square(parts["noise"], "path") / square(parts["noise"], "total")
        variance = f"{ratios.mean():.2f}"
        if ratios.max() > 10 * ratios.min():
            variance = f"{ratios.min():.2g} to {ratios.max():,.0f}"
        snr = [f"{signal_to_noise(parts, name).mean():.2f}" for name in ESTIMATORS]
        cells = [f"{step - steps[0]:,}", f"{cancelled(parts['noise']).mean():.2f}", variance, *snr]
        yield f"| {' | '.join(cells)} |".replace("-", "−")


def returns_table(results: Path) -> Iterator[str]:
    """In Markdown: mean return over seeds ± half of the 95 % interval, and seed by seed to total.

    The differences are of the seeds that both have; their networks begin alike.
    """
    scores = {variant: _scores(returns_of(results, variant)) for variant in variants_of(results)}
    steps = sorted(next(iter(returns_of(results, "total").values())))
    marks = [f"{steps[-1] // 4 * quarters:,} steps" for quarters in (1, 2, 4)]
    columns = [results.name, "seeds", *marks, "second half", "whole curve"]
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    for variant, found in scores.items():
        yield _line(LABELS[variant], np.array(list(found.values())))
    for variant, found in scores.items():
        if variant != "total":
            both = sorted(found.keys() & scores["total"].keys())
            differences = np.array([found[seed] - scores["total"][seed] for seed in both])
            yield _line(f"{LABELS[variant]}, less total", differences)


def _scores(returns: Returns) -> dict[int, np.ndarray]:
    """By seed: return at a quarter, a half and the end, mean of the second half, mean of all."""
    scores = {}
    for seed, curve in returns.items():
        steps, values = np.array(sorted(curve)), np.array([curve[step] for step in sorted(curve)])
        at = [curve[steps[-1] // 4 * quarters] for quarters in (1, 2, 4)]
        scores[seed] = np.array([*at, values[steps > steps[-1] / 2].mean(), values.mean()])
    return scores


def _line(label: str, scores: np.ndarray) -> str:
    cells = [
        f"{round(mean):,} ± {round(half):,}".replace("-", "−")
        for mean, half in zip(*interval(scores), strict=True)
    ]
    return f"| {label} | {len(scores)} | {' | '.join(cells)} |"


def _rows(variant: Path, name: str) -> list[dict[str, str]]:
    """The rows of all groups of seeds."""
    rows = []
    for file in sorted(variant.glob(f"seed-*/{name}")):
        with file.open() as lines:
            rows += csv.DictReader(lines)
    return rows
