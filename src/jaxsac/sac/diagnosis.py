"""Why an update was not finite."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np

from jaxsac.sac.agent import update
from jaxsac.sac.policy import METRICS, is_due
from jaxsac.sac.state import State
from jaxsac.types import PyTree, Transition


def explain(state: State, batch: Transition, key: jax.Array) -> list[str]:
    """Repeats an update and says what was not finite in it, the cause before its effects.

    Args:
      state: the agent before the update.
      batch: what it was given, (B, ...).
      key: its key.

    Returns:
      A sentence each for: leaves of batch and agent that are not finite, or else the largest
      numbers in the batch; the first term of the update that is not finite; the terms after it.
      Nothing if the update is finite.
    """
    after, metrics = update(state, batch, key)
    if after.skipped == state.skipped:
        return []
    due = is_due(state)
    rested = METRICS if due is not None and not due else ()  # NaN because nothing was computed
    # Metrics come in the order in which one follows from the other.
    terms = [
        name for name, value in metrics.items() if not np.isfinite(value) and name not in rested
    ]
    found = [*_not_finite("batch", batch), *_not_finite("agent", state)]
    if not found:
        found = list(_largest(batch))
    if not terms:
        return [*found, "all terms are finite, but batch statistics would not be"]
    found.append(f"the first term that is not finite: {terms[0]} = {metrics[terms[0]]}")
    if terms[1:]:
        found.append(f"and after it: {', '.join(terms[1:])}")
    return found


def _not_finite(name: str, tree: PyTree) -> Iterator[str]:
    for path, leaf in jax.tree.leaves_with_path(tree):
        bad = ~np.isfinite(np.asarray(leaf, np.float64))
        if bad.any():
            yield f"{name}{jax.tree_util.keystr(path)}: {bad.sum()} of {bad.size} not finite"


def _largest(batch: PyTree) -> Iterator[str]:
    for path, leaf in jax.tree.leaves_with_path(batch):
        size = np.abs(np.asarray(leaf, np.float64)).reshape(len(leaf), -1).max(axis=1, initial=0)
        row = int(size.argmax())
        yield f"batch{jax.tree_util.keystr(path)}: up to {size[row]:.3g} (row {row})"
