"""How many processes step the environments of a run that leaves it open: `env_workers="auto"`."""

from __future__ import annotations

import dataclasses
import multiprocessing
import statistics
import time
from collections.abc import Callable

import gymnasium

from jaxsac.envs.checked import close_and_tell
from jaxsac.envs.copies import mujoco_warnings
from jaxsac.envs.envpool import FAMILY
from jaxsac.envs.in_jax.families import make_in_jax
from jaxsac.envs.registry import make_one
from jaxsac.envs.walk import SEED, global_generators, random_actions
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.settings.config import RunConfig
from jaxsac.training.seed_axis import num_cores

SLOW = 2e-3
"""Seconds of a step of one copy from which on workers surely pay; experiments/workers has it."""
STEPS, SECONDS = 20, 1.0
"""That are timed, and after which no further step is begun."""


def settled(config: RunConfig, run: RunDirectory, say: Callable[[str], None]) -> RunConfig:
    """The run with a number of workers, which is the one in its manifest where there is one.

    Args:
      config: the run.
      run: where it lies, or is going to.
      say: told the number and its reason.

    Raises:
      ValueError, ModuleNotFoundError, Exception: the environment cannot be made, or fails.
    """
    if config.env_workers != "auto":
        return config
    if run.manifest.exists():
        workers, why = run.config().env_workers, "as this run had so far; a number changes it"
    else:
        workers, why = _choose(config)
    say(f"--env-workers auto: {workers}, {why}.")
    return dataclasses.replace(config, env_workers=workers)


def _choose(config: RunConfig) -> tuple[int, str]:
    """The number, and its reason: as many as help where a step is slow, none where it is not."""
    if config.env.startswith(FAMILY):
        return 0, f"which is a thread for each core in {config.env}"
    if multiprocessing.current_process().daemon:
        return 0, "as this process is a daemon, as those of a multiprocessing.Pool are"
    mujoco_warnings.redirect()
    options = config.to_population().env_options
    if make_in_jax(config.env, options) is not None:
        return 0, f"as {config.env} steps on the device"
    with global_generators():
        env = make_one(config.env, "a copy that is timed", config.env_timeout, options)
        try:
            seconds = _seconds_of_a_step(env)
        finally:
            close_and_tell(config.env, env)
    copies, cores = config.population * config.num_envs, num_cores()
    workers = min(copies, cores) if seconds > SLOW else 0
    why = (
        f"as a step of one copy takes {1000 * seconds:.2g} ms: workers pay from "
        f"{1000 * SLOW:g} ms on, at most one for each of {copies} copies and {cores} cores"
    )
    if workers < 2:
        return 0, why
    try:
        options.by_name(config.env)
    except ValueError as error:
        return 0, f"{why}; but {str(error).removesuffix('.')}"
    return workers, why


def _seconds_of_a_step(env: gymnasium.Env) -> float:
    """The median, in which a slow first step and the load of other programs count for little."""
    seconds, end = [], time.monotonic() + SECONDS
    env.reset(seed=SEED)
    for action in random_actions(env, STEPS):
        start = time.perf_counter()
        _, _, terminated, truncated, _ = env.step(action)
        seconds.append(time.perf_counter() - start)
        if time.monotonic() > end:
            break
        if terminated or truncated:
            env.reset()
    return statistics.median(seconds)
