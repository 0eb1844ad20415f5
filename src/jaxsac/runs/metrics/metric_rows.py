"""The rows of the metrics: what is known of each member at a step."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxsac.runs.metrics.metrics import RUN_COLUMNS
from jaxsac.runs.settings.config import RunConfig
from jaxsac.sac.policy import METRICS as OF_ACTOR
from jaxsac.sac.state import Metrics
from jaxsac.training.interval import Interval
from jaxsac.training.returns import Evaluation, Totals

TARGET_ENTROPY = "target_entropy"
"""Column beside the entropy of the metrics of updates."""


def columns(metrics: Metrics) -> list[str]:
    """What the rows of a run may hold: its own columns, then the metrics of its updates."""
    names = [name for name in metrics if name not in RUN_COLUMNS]
    if "entropy" in names:
        names.insert(names.index("entropy") + 1, TARGET_ENTROPY)
    return [*RUN_COLUMNS, *names]


def rows(
    config: RunConfig,
    step: int,
    seconds: float,
    learned: Interval,
    target_entropy: np.ndarray,
    totals: Totals,
    evaluated: Evaluation | None,
    offline_updates: int = 0,
) -> list[dict[str, Any]]:
    """One row for each member, by the names that `columns` returns.

    Args:
      config: the run.
      step: transitions per seed so far.
      seconds: of training so far.
      learned: means over the updates since the rows before, each (S,).
      target_entropy: nats, (S,).
      totals: of the training episodes that have ended since the rows before, and of all steps
        discarded so far.
      evaluated: the evaluation at this step, if there was one.
      offline_updates: on prior data alone, before the first step.
    """
    updates = config.schedule.updates_due(step)
    measured = {**learned.mean, TARGET_ENTROPY: target_entropy}
    known = columns(learned.mean)

    def row_of(index: int) -> dict[str, Any]:
        count = int(totals.episodes[index])
        row: dict[str, Any] = {
            "step": step,
            "updates": offline_updates + updates,
            "wall_time": seconds,
            "train_episodes": count,
        }
        if count:
            row["train_return"] = float(totals.returns[index] / count)
            row["train_length"] = float(totals.lengths[index] / count)
        if evaluated is not None:
            row["eval_return"] = float(np.mean(evaluated.returns[index]))
            row["eval_return_std"] = float(np.std(evaluated.returns[index]))
            # An episode without a return was given up, and has no length either.
            ended = np.isfinite(evaluated.returns[index])
            lengths = evaluated.lengths[index][ended]
            row["eval_length"] = float(np.mean(lengths)) if lengths.size else float("nan")
        if updates:
            row["utd"] = updates / (step - config.learning_starts)
        if learned.updates[index]:
            acted = learned.actor_updates[index] > 0
            told = {n for n in known if acted or n not in OF_ACTOR}
            row |= {n: float(values[index]) for n, values in measured.items() if n in told}
        row["skipped"] = int(learned.mean["skipped"][index])
        row["discarded"] = int(totals.discarded[index])
        return row

    return [row_of(index) for index in range(config.population)]
