"""What a run saved, looked at anew: its policies evaluated, and its updates that failed."""

from __future__ import annotations

import warnings
from pathlib import Path

import jax
import jax.numpy as jnp

from jaxsac.runs import checkpoint, failures, snapshot
from jaxsac.training import seed_axis
from jaxsac.runs.config import RunConfig
from jaxsac.training.driver import learning_structs
from jaxsac.runs.load import spaces_of
from jaxsac.training.returns import Evaluation
from jaxsac.runs.directory import RunDirectory
from jaxsac.training.drivers import make_driver
from jaxsac.sac.diagnosis import explain


def evaluate_run(
    directory: Path, step: int | None, episodes: int
) -> tuple[int, RunConfig, Evaluation, Evaluation]:
    """Evaluates the policies that a run saved, as a run itself does.

    Args:
      directory: a run directory.
      step: which checkpoint; the latest by default.
      episodes: per seed.

    Returns:
      The checkpoint's step, the run's configuration, and the evaluations of the deterministic and
      of the sampled policy. The former starts from the same states as the run's own evaluation at
      that step.

    Raises:
      RunDirectoryError, BundleError: there is no such run or checkpoint, or it is damaged.
      ValueError: episodes below 1.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, got {episodes}.")
    run = RunDirectory(directory)
    config = run.config()
    if unknown := run.describe_unknown_settings():
        warnings.warn(unknown, stacklevel=2)
    step = checkpoint.latest(run.checkpoints) if step is None else step
    seed_axis.configure_host_devices(config.population)
    axis = seed_axis.axis(config.population, config.seed_layout)
    population = config.to_population()
    driver = make_driver(population, axis)
    structs = learning_structs(population, driver.observation, driver.action)
    policy = axis.place(snapshot.load_policy(run.checkpoints, step, structs))
    deterministic = driver.evaluate(policy, step, episodes, sampled=False)
    sampled = driver.evaluate(policy, step, episodes, sampled=True)
    driver.close()
    return step, config, deterministic, sampled


def explain_failure(folder: Path) -> list[str]:
    """Repeats the update of a seed that was not finite, and says what was not.

    Args:
      folder: `failures/seed-NNNN` of a run directory.

    Returns:
      As `sac.diagnosis.explain`.

    Raises:
      RunDirectoryError, BundleError: there is no such run or failure, or it is damaged.
    """
    run = RunDirectory(folder.absolute().parents[1])
    config, spaces = run.config(), spaces_of(run)
    structs = learning_structs(config.to_population(), spaces.observation, spaces.action)
    agent, batch, key = failures.load(folder, structs)
    return explain(agent, batch, jax.random.wrap_key_data(jnp.asarray(key)))
