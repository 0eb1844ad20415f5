"""What a run saved, looked at anew: its policies, and its updates that failed."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp

from jaxsac.runner import checkpoint, failures, loop, seeds, snapshot
from jaxsac.runner.config import RunConfig
from jaxsac.runner.driver import learning_structs
from jaxsac.runner.returns import Evaluation
from jaxsac.runner.run_directory import RunDirectory
from jaxsac.runner.train import make_driver
from jaxsac.sac.diagnosis import explain


def load_policy(
    directory: Path | str, member: str = "seed-0000", step: int | None = None
) -> loop.Policy:
    """The policy of one seed of a run, for `jaxsac.runner.loop.act`.

    Args:
      directory: a run directory.
      member: which seed, by the name that its metrics have, such as "seed-0003".
      step: which checkpoint; the latest by default.

    Returns:
      The agent, and the scale on which it sees observations: `act(policy, observation)` takes them
      as the environment returns them, with any leading axes.

    Raises:
      RunDirectoryError, BundleError: there is no such run or checkpoint, or it is damaged.
      ValueError: the run has no such member.
    """
    run = RunDirectory(Path(directory))
    config = run.config()
    if member not in config.member_names:
        raise ValueError(
            f"{directory} has no member {member!r}: its members are {config.member_names}."
        )
    step = checkpoint.latest(run.checkpoints) if step is None else step
    policies = snapshot.load_policy(run.checkpoints, step, _structs(config))
    return jax.tree.map(lambda rows: rows[config.member_names.index(member)], policies)


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
    step = checkpoint.latest(run.checkpoints) if step is None else step
    seeds.configure_host_devices(config.population)
    axis = seeds.axis(config.population, config.seed_layout)
    driver = make_driver(config, axis)
    structs = learning_structs(config.to_population(), driver.observation, driver.action)
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
    config = RunDirectory(folder.absolute().parents[1]).config()
    agent, batch, key = failures.load(folder, _structs(config))
    return explain(agent, batch, jax.random.wrap_key_data(jnp.asarray(key)))


def _structs(config: RunConfig) -> loop.Carry:
    """Structs of a run's learners; its environment is made to know its spaces."""
    one = config.only(config.seed)
    driver = make_driver(one, seeds.axis(one.population))
    driver.close()
    return learning_structs(config.to_population(), driver.observation, driver.action)
