"""The policies that a run saved, evaluated anew."""

from __future__ import annotations

import functools
from pathlib import Path

import jax

from jaxsac.envs import host
from jaxsac.envs.make import make, redirect_mujoco_warnings
from jaxsac.runner import checkpoint, seeds
from jaxsac.runner.config import RunConfig
from jaxsac.runner.evaluate import Evaluation, Policy, evaluate
from jaxsac.runner.run_directory import RunDirectory
from jaxsac.runner.train import init_carry


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
      RunDirectoryError, CheckpointError: there is no such run or checkpoint, or it is damaged.
      ValueError: episodes below 1.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, got {episodes}.")
    run = RunDirectory(directory)
    config = run.config()
    step = checkpoint.latest(run.checkpoints) if step is None else step
    redirect_mujoco_warnings()
    seeds.configure_host_devices(config.seeds)
    envs = host.HostEnvs(make(config.env, config.seeds * episodes), config.seeds)
    mesh = seeds.mesh_for(config.seeds)
    template = jax.eval_shape(functools.partial(init_carry, config, envs, mesh)).agent
    agent = checkpoint.load(run.checkpoints, step, "agent", template)
    agent = jax.device_put(agent, seeds.sharding(mesh))
    policy, members = Policy(mesh), config.members
    deterministic = evaluate(envs, policy.mode(agent), members, step)
    sampled = evaluate(envs, policy.sampled(agent, members), members, step)
    envs.close()
    return step, config, deterministic, sampled
