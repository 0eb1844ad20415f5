"""The rows of the metrics: what is known of each member at a step."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxsac.runs.config import RunConfig
from jaxsac.runs.metrics import RUN_COLUMNS
from jaxsac.training.returns import Evaluation, Totals
from jaxsac.sac.state import Metrics


def columns(latest: Metrics) -> list[str]:
    """What the rows of a run may hold: its own columns, then the metrics of its updates."""
    return [*RUN_COLUMNS, *(name for name in latest if name not in RUN_COLUMNS)]


def rows(
    config: RunConfig,
    step: int,
    seconds: float,
    latest: Metrics,
    totals: Totals,
    evaluated: Evaluation | None,
) -> list[dict[str, Any]]:
    """One row for each member, by the names that `columns` returns.

    Args:
      config: the run.
      step: transitions per seed so far.
      seconds: of training so far.
      latest: of the last update, each (S,).
      totals: of the training episodes that have ended since the rows before, and of all steps
        discarded so far.
      evaluated: the evaluation at this step, if there was one.
    """
    updates = config.schedule.updates_due(step)
    measured = dict(latest)

    def row_of(index: int) -> dict[str, Any]:
        count = int(totals.episodes[index])
        row: dict[str, Any] = {
            "step": step,
            "updates": updates,
            "wall_time": seconds,
            "train_episodes": count,
        }
        if count:
            row["train_return"] = float(totals.returns[index] / count)
            row["train_length"] = float(totals.lengths[index] / count)
        if evaluated is not None:
            row["eval_return"] = float(np.mean(evaluated.returns[index]))
            row["eval_return_std"] = float(np.std(evaluated.returns[index]))
            row["eval_length"] = float(np.mean(evaluated.lengths[index]))
        if updates:
            row["utd"] = updates / (step - config.learning_starts)
            row |= {name: float(values[index]) for name, values in measured.items()}
        row["skipped"] = int(latest["skipped"][index])
        row["discarded"] = int(totals.discarded[index])
        return row

    return [row_of(index) for index in range(config.population)]
