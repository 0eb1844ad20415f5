"""Transitions from before a run, as its learners see them: one copy for all members."""

from __future__ import annotations

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsac.data import datasets, n_step, normalize, replay, return_scale
from jaxsac.data.replay import Buffer
from jaxsac.envs.action_map import ActionMap
from jaxsac.training.carry import Carry
from jaxsac.training.driver import Evaluator
from jaxsac.training.population import Population
from jaxsac.training.seed_axis import SeedAxis
from jaxsac.types import Transition, transition_of

SLACK = 1e-5
"""How far beyond its bound an action may lie, in half-widths of the range: as far as the digits of
a float that was computed elsewhere."""


class PriorData:
    """A data set that fits the environment of a population.

    Attributes:
      source: what it was read from.
      steps: of one step each, NumPy arrays (N, ...); actions in [-1, 1].
      over: bool (N,): the next step is of another episode.
      sha256: of all that is in `steps` and `over`.
    """

    def __init__(self, population: Population, env: Evaluator) -> None:
        """Reads what the population names.

        Args:
          population: its `prior_data` is not None.
          env: the environment that the data has to fit.

        Raises:
          ValueError: there is none, or it does not fit; names both.
          ModuleNotFoundError: what reads it is not installed.
        """
        self.source = source = population.prior_data or ""
        steps, self.over = datasets.read(source, env.observation, env.action.dtype)
        action = _unit(steps.action, env.action_map, f"prior data {source}", population.env)
        self.steps = steps._replace(action=action.astype(env.action.dtype))
        if len(self.over) < population.batch_size:
            raise ValueError(
                f"prior data {source}: {len(self.over)} rows are fewer than a batch of "
                f"{population.batch_size}: lower batch_size, or give more."
            )
        self.sha256 = _digest(self.steps, self.over)
        self._transition = transition_of(env.observation, env.action)
        self._n_step, self._gamma = population.n_step, population.hyperparameters.gamma

    @property
    def facts(self) -> dict[str, Any]:
        """What a manifest says of it: where it was, how many rows it had, and their SHA-256."""
        return {"source": self.source, "rows": len(self.over), "sha256": self.sha256}

    @property
    def num_bytes(self) -> int:
        """On each device."""
        return replay.plan(len(self.over), self._transition).total_bytes

    def describe(self) -> str:
        """One line for a person."""
        ended = int((self.steps.discount == 0).sum())
        return (
            f"prior data: {len(self.over):,} transitions of {self.source}, {ended:,} of them "
            f"terminations, in {int(self.over.sum()):,} episodes or parts of them."
        )

    def buffer(self) -> Buffer:
        """The rows that batches are drawn from: returns of as many steps as those of the run."""
        steps = self.steps
        if self._n_step > 1:
            steps = n_step.of_episodes(self._n_step, steps, self.over, float(self._gamma))
        return replay.from_arrays(steps)

    def begin(self, learning: Carry, axis: SeedAxis) -> Carry:
        """Learners that have seen nothing yet, on the scales of this data.

        Its observations count in the running scale of theirs, and its rewards in that of returns,
        as if the run had met them before its first step.
        """
        size = axis.num_members
        if learning.normalizer:
            moments = normalize.of_data(self.steps.observation)
            rows = jax.tree.map(lambda x: np.broadcast_to(x, (size, *x.shape)), moments)
            learning = learning._replace(normalizer=axis.place(rows))
        if learning.return_scale:
            gammas = axis.take(np.asarray(learning.agent.hyperparameters.gamma))
            none = axis.take(jax.device_get(learning.return_scale))
            alone = jax.tree.map(lambda x: x[0], none)
            scales = {
                gamma: return_scale.after_data(alone, self.steps.reward, self.over, gamma)
                for gamma in set(gammas.tolist())
            }
            rows = jax.tree.map(lambda *x: jnp.stack(x), *(scales[g] for g in gammas.tolist()))
            learning = learning._replace(return_scale=axis.place(rows))
        return learning


def _unit(action: np.ndarray, to_env: ActionMap, data: str, env: str) -> np.ndarray:
    """Actions (N, *shape) of an environment as (N, A) in [-1, 1]."""
    if action.shape[1:] != to_env.shape:
        raise ValueError(
            f"{data}: action has rows of shape {list(action.shape[1:])}, those of {env} have "
            f"{list(to_env.shape)}."
        )
    unit = to_env.inverse(action)
    outside = np.abs(unit) > 1 + SLACK
    if outside.any():
        row, dimension = np.argwhere(outside)[0]
        raise ValueError(
            f"{data}: action has {int(outside.any(axis=1).sum())} of {len(action)} rows outside "
            f"the bounds of {env}: {action[row].ravel()[dimension]:g} in row {row}, and dimension "
            f"{dimension} has [{to_env.low[dimension]:g}, {to_env.high[dimension]:g}]. Actions are "
            "in the units of the environment."
        )
    return np.clip(unit, -1, 1)


def _digest(steps: Transition, over: np.ndarray) -> str:
    digest = hashlib.sha256()
    for path, array in jax.tree.leaves_with_path((steps, over)):
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
