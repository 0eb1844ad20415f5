"""What a run saved, looked at anew: its policies evaluated, and its updates that failed."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsac.envs.checked import close_and_tell
from jaxsac.runs.checkpoints import failures
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.directory.spaces import Spaces
from jaxsac.runs.policies import acting
from jaxsac.runs.policies.load import spaces_of
from jaxsac.runs.settings.config import RunConfig
from jaxsac.runs.settings.values import whole
from jaxsac.sac.diagnosis import explain
from jaxsac.training import seed_axis
from jaxsac.training.driver import Evaluator, learning_structs
from jaxsac.training.drivers import make_evaluator
from jaxsac.types import Spec

FRESH = 2**31 - 1
"""In place of a step: names start states that no evaluation of a run has begun with."""


class MemberEvaluation(NamedTuple):
    """Of one member's policy."""

    label: str
    step: int
    """Transitions of training after which it was saved."""
    deterministic: np.ndarray
    """Returns of the episodes; NaN where one had a NaN or an infinity in it."""
    sampled: np.ndarray


class RunEvaluation(NamedTuple):
    """Of the policies of a run."""

    env: str
    members: list[MemberEvaluation]

    @property
    def deterministic(self) -> np.ndarray:
        """Returns of the mode, (S, episodes)."""
        return np.stack([member.deterministic for member in self.members])

    @property
    def sampled(self) -> np.ndarray:
        """Returns of the sampled policy, (S, episodes)."""
        return np.stack([member.sampled for member in self.members])


def evaluate_run(
    directory: Path,
    which: int | str = "latest",
    episodes: int = 10,
    changes: dict[str, Any] | None = None,
) -> RunEvaluation:
    """Evaluates the policies that a run saved, as a run itself does.

    Args:
      directory: a run directory.
      which: the "latest" checkpoint, one by its step, or the "best" policies by the run's
        evaluations.
      episodes: per seed.
      changes: other values of env, env_kwargs, wrapper and eval_envs than those of the run.

    Returns:
      The deterministic and the sampled policy of every seed. The former starts from the same states
      as the run's own evaluation at that step; the best policies, which were chosen by those, start
      from others.

    Raises:
      RunDirectoryError, BundleError: there is no such run or policy, or it is damaged.
      ValueError: episodes below 1, or an environment with other spaces than the run's.
    """
    if whole("episodes", episodes) < 1:
        raise ValueError(f"episodes must be at least 1, got {episodes}.")
    run, changes = RunDirectory(directory), of_another_environment(changes)
    if unknown := run.describe_unknown_settings():
        warnings.warn(unknown, stacklevel=2)
    members = []
    for group in run.groups():
        members += _evaluate_group(group, which, episodes, changes)
    return RunEvaluation(changes.get("env", run.config().env), members)


def of_another_environment(changes: dict[str, Any] | None) -> dict[str, Any]:
    """Changes of a run's settings: another environment has none of its arguments and wrappers."""
    changes = changes or {}
    return {"env_kwargs": {}, "wrapper": (), **changes} if "env" in changes else changes


def _evaluate_group(
    run: RunDirectory, which: int | str, episodes: int, changes: dict[str, Any]
) -> list[MemberEvaluation]:
    config, spaces = run.config(), spaces_of(run)
    everyone = range(config.population)
    steps, policy = acting.read(run, spaces, which, everyone)
    asked = dataclasses.replace(config, eval_every=1, eval_episodes=episodes, **changes)
    seed_axis.configure_host_devices(config.population)
    axis = seed_axis.axis(config.population, config.seed_layout, config.agent)
    evaluator = make_evaluator(asked.to_population(), axis)
    try:
        _check_spaces(spaces, evaluator, asked)
        policy = axis.place(policy)
        step = FRESH if which == "best" else steps[0]
        found = [evaluator.evaluate(policy, step, episodes, sampled=s) for s in (False, True)]
    finally:
        close_and_tell(asked.env, evaluator)
    return [
        MemberEvaluation(label, saved, *(evaluation.returns[member] for evaluation in found))
        for member, label, saved in zip(everyone, config.member_labels, steps, strict=True)
    ]


def _check_spaces(spaces: Spaces, evaluator: Evaluator, config: RunConfig) -> None:
    there = Spaces(evaluator.observation, evaluator.action, evaluator.action_map)
    if Spec.of(spaces.observation) != Spec.of(there.observation):
        raise ValueError(
            f"{config.env} has observations {there.observation}, and the policies of this run see "
            f"{spaces.observation}."
        )
    if there.action_map.size != spaces.action_map.size:
        raise ValueError(
            f"{config.env} has {there.action_map.size} actions, and the policies of this run "
            f"choose {spaces.action_map.size}."
        )


def explain_failure(folder: Path) -> list[str]:
    """Repeats the update of a seed that was not finite, and says what was not.

    Args:
      folder: `failures/seed-NNNN` of a run directory.

    Returns:
      As `sac.diagnosis.explain`.

    Raises:
      ValueError: the folder is a run.
      RunDirectoryError, BundleError: there is no such run or failure, or it is damaged.
    """
    folder = folder.expanduser().absolute()
    given = RunDirectory(folder)
    if given.manifest.exists() and folder.parent.name != given.failures.name:
        there = sorted(each.name for each in given.failures.glob("*/"))
        raise ValueError(
            f"{folder} is a run: give one of {given.failures}, {', '.join(there)}."
            if there
            else f"{folder} is a run of which no update has failed: there is nothing to repeat."
        )
    run = RunDirectory(folder.parents[1])
    config, spaces = run.config(), spaces_of(run)
    structs = learning_structs(config.to_population(), spaces.observation, spaces.action)
    agent, batch, key = failures.load(folder, structs)
    return explain(agent, batch, jax.random.wrap_key_data(jnp.asarray(key)))
