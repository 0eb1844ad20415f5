"""What the values of a batch should be, looked at where they are known."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import numpy as np

from jaxsac.sac import checks
from jaxsac.sac.state import State
from jaxsac.types import Transition, narrowed


def check_batch(state: State, batch: Transition) -> None:
    """Refuses a batch that would train an agent on something else than is meant.

    `update` checks shapes and dtypes; values are known only outside `jax.jit`, so this is a
    function of its own, to be called on a first batch of one's own loop. It takes far longer than
    an update.

    Args:
      state: the agent.
      batch: transitions (B, ...).

    Raises:
      TypeError: `state` is no agent, or `batch` no transitions.
      ValueError: names every field with values that are not finite, whole numbers that 32 bits do
        not have, actions outside [-1, 1] and discounts outside [0, 1], and how many there are; or
        as `update`, another shape or dtype.

    Warns:
      UserWarning: no discount is 1, as where `terminated` itself or γ has been given.
    """
    checks.check_batch_shapes(state, batch)
    batch = jax.device_get(batch)
    found = []
    for path, leaf in jax.tree.flatten_with_path(batch)[0]:
        name = f"batch{jax.tree_util.keystr(path)}"
        try:
            held = narrowed(leaf, jax.dtypes.canonicalize_dtype(leaf.dtype))
        except ValueError as error:
            found.append(f"{name}: {str(error).removesuffix('.')}")
            continue
        if jax.numpy.issubdtype(held.dtype, np.floating):
            found += _said(name, ~np.isfinite(held), "not finite")
    outside = np.abs(batch.action) > 1
    found += _said(
        "batch.action", outside, "outside [-1, 1], where jaxsac's actions live: map those of the "
        "environment from its bounds to [-1, 1]",
    )  # fmt: skip
    outside = (batch.discount < 0) | (batch.discount > 1)
    found += _said(
        "batch.discount", outside, "outside [0, 1]: it is 0 where the process terminated and 1 "
        "elsewhere, at a time limit too",
    )  # fmt: skip
    if found:
        raise ValueError("; ".join(found) + ".")
    if not np.any(batch.discount == 1):
        warnings.warn(
            f"batch.discount: none of {np.size(batch.discount)} values is 1. It is 1 - terminated, "
            "not `terminated` and without γ, unless every step ends the process or the rewards are "
            "returns of several steps.",
            stacklevel=2,
        )


def _said(name: str, wrong: Any, what: str) -> list[str]:
    """A sentence about the values that are wrong, if there are any."""
    count = int(np.sum(wrong))
    return [f"{name}: {count} of {np.size(wrong)} values are {what}"] if count else []
