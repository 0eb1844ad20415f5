"""What acts, of an agent on disk: the actor without the critics."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsac.data import frame_stack, normalize
from jaxsac.runs.checkpoints import bundle, checkpoint
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.directory.spaces import Spaces
from jaxsac.runs.settings.config import RunConfig
from jaxsac.sac import agent as sac
from jaxsac.sac.config import Config
from jaxsac.sac.state import State
from jaxsac.training.carry import Policy
from jaxsac.types import PyTree


def read(
    run: RunDirectory, spaces: Spaces, which: int | str, members: Sequence[int]
) -> tuple[list[int], Policy]:
    """Policies that a run has saved.

    Args:
      run: the run.
      spaces: its spaces.
      which: "latest" or the step of a checkpoint; or "best", by the run's evaluations.
      members: their indices.

    Returns:
      The steps of training after which each was saved, and the policies, (len(members), ...).

    Raises:
      BundleError: there is none, or it is damaged.
      ValueError: `which` is none of these.
    """
    config, structs = run.config(), _structs(run.config(), spaces)
    # Once for all members: a run that is training saves another meanwhile.
    step = None if which == "best" else _step(run, which)

    def one(member: int) -> tuple[int, Policy]:
        if step is not None:
            folder = checkpoint.folder(run.checkpoints, step)
            return step, _policy(folder, structs, member, config.population)
        folder = run.best / config.member_names[member]
        # It may keep a better one meanwhile.
        return bundle.whole(folder, lambda: _best(run, folder, structs))

    each = [one(member) for member in members]
    policies = [policy for _, policy in each]
    return [step for step, _ in each], jax.tree.map(lambda *rows: np.stack(rows), *policies)


def _best(run: RunDirectory, folder: Path, structs: Policy) -> tuple[int, Policy]:
    if not folder.is_dir():
        raise BundleError(
            f"{run.path} has kept no best policy of {folder.name}: no evaluation of it came to a "
            'number, or an older version of jaxsac trained it. "latest" is there.'
        )
    return int(bundle.verify(folder)["step"]), _policy(folder, structs, 0, 1)


def _policy(folder: Path, structs: Policy, row: int, rows: int) -> Policy:
    """The policy at a row of a bundle's parts, which have so many."""

    def part(name: str, one: PyTree) -> PyTree:
        there = jax.tree.map(lambda x: jax.ShapeDtypeStruct((rows, *x.shape), x.dtype), one)
        return bundle.load(folder, name, there, row=row, partial=True) if one else one

    return Policy(part("agent", structs.agent), part("normalizer", structs.normalizer))


def _structs(config: RunConfig, spaces: Spaces) -> Policy:
    observation = frame_stack.structs(spaces.observation, config.frame_stack)
    settings = _without_critics(config)

    def init(key: jax.Array) -> State:
        return sac.init(key, observation, spaces.action, settings)

    normalizer: Any = ()
    if config.normalize_observations:
        normalizer = jax.eval_shape(normalize.init, observation)
    return Policy(jax.eval_shape(init, jax.random.key(0)).acting, normalizer)


def _without_critics(config: RunConfig) -> Config:
    """The settings of what acts: critics of the user's own are not asked for."""
    actor_alone = dataclasses.replace(config, critic=None, critic_kwargs={})
    return dataclasses.replace(
        actor_alone.full_agent, critic=None, target_pessimism="minimum", actor_pessimism="minimum"
    )


def _step(run: RunDirectory, which: int | str) -> int:
    if which == "latest":
        return checkpoint.latest(run.checkpoints)
    if isinstance(which, bool) or not isinstance(which, int | np.integer):
        raise ValueError(
            f'which must be "latest", "best" or the step of a checkpoint, got {which!r}.'
        )
    if which not in (saved := checkpoint.steps(run.checkpoints)):
        kept = ", ".join(map(str, saved)) or "none"
        raise BundleError(f"{run.checkpoints} holds none of step {which}; those kept are: {kept}.")
    return int(which)
