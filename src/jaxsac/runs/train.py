"""A training run: what it needs is made and checked before anything is written."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from jaxsac.runs import init_from
from jaxsac.runs.checkpoints import bundle, checkpoint
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.directory import releases
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.directory.spaces import Spaces
from jaxsac.runs.display.observer import Observer
from jaxsac.runs.loop import Loop
from jaxsac.runs.policies.recorder import Recorder
from jaxsac.runs.process import allocator, env_workers, flags, forks
from jaxsac.runs.settings import idle
from jaxsac.runs.settings.config import RunConfig
from jaxsac.runs.sinks import sink
from jaxsac.sac.checks import check_hyperparameters
from jaxsac.training import memory, seed_axis
from jaxsac.training.device_driver import DeviceDriver
from jaxsac.training.driver import Driver, learning_structs
from jaxsac.training.drivers import make_driver
from jaxsac.training.population import Population
from jaxsac.training.prior_data import PriorData


def train(config: RunConfig, directory: Path, observer: Observer) -> bool:
    """Trains a population of independent members, or resumes a run that was stopped.

    A run that is stopped, by a signal or by a kill, and resumed ends as it would have ended
    without, bit for bit on a CPU; so does one that is asked for more steps than it was begun with.
    SIGINT (Ctrl-C), SIGTERM, SIGHUP (a terminal that is closed) and what schedulers send (SIGUSR1,
    SIGUSR2, SIGXCPU) end the run after the current step, with everything saved; a second one ends
    it at once.

    Args:
      config: the run.
      directory: where it is written; created if need be.
      observer: told about the start, every row of the metrics, and the end.

    Returns:
      Whether the run is complete; False when it was stopped before its last step.

    Raises:
      ValueError: an environment or value that cannot be trained on; nothing is written then.
      ModuleNotFoundError: a package is not installed; names the command that installs it.
      MemoryError: replay does not fit; names the capacity that would.
      RunDirectoryError: the directory is another run's, another process trains there, or it went.
      BundleError: the run has checkpoints, and none of them can be used.
      FloatingPointError: the environment's warm-up is mostly not finite.
    """
    run = RunDirectory(directory)
    with run.locked() if config.lock else contextlib.nullcontext():
        return _train(config, run, observer)


def train_group(
    config: RunConfig, directory: Path, observe: Callable[[RunConfig], AbstractContextManager[Any]]
) -> bool:
    """`train`, with seeds that a run does not have yet added to it.

    A run of seeds 0 to 3 that is asked for seeds 0 to 5 trains 4 and 5 beside what it has, each as
    it would have learned among all.

    Args:
      config: the run.
      directory: as for `train`.
      observe: makes the observer of a group of seeds.

    Returns:
      Whether all seeds are complete.
    """
    for part, path in RunDirectory(directory).parts(config):
        with observe(part) as observer:
            if not train(part, path, observer):
                return False
    return True


def _train(config: RunConfig, run: RunDirectory, observer: Observer) -> bool:
    if unknown := run.describe_unknown_settings():
        observer.message(unknown)
    bundle.recover(run.checkpoints)
    bundle.recover(run.best)
    if not run.is_finished(config) and _is_done(config, run):
        run.finish()
    if run.is_finished(config):
        observer.message(f"{run.path} holds this run, complete: nothing to do.")
        return True
    flags.check()
    forks.check()
    sink.check(config.log)
    observer.phase("making environments")
    config = env_workers.settled(config, run, observer.message)
    allocator.keep_freed_memory()
    seed_axis.configure_host_devices(config.population)
    axis = seed_axis.axis(config.population, config.seed_layout, config.agent)
    population = config.to_population()
    recorder = Recorder(config, run.path / "videos", observer.message)
    with contextlib.closing(recorder):
        driver = make_driver(population, axis)
        with contextlib.ExitStack() as refused:
            refused.callback(_close_quietly, driver)
            loop = _prepare(config, run, population, driver, axis, observer, recorder)
            refused.pop_all()
        complete = loop.run()
    if complete:
        run.finish()
    return complete


def _is_done(config: RunConfig, run: RunDirectory) -> bool:
    """Whether a run that was killed has saved its end: without its replay nothing goes on there."""
    saved = checkpoint.steps(run.checkpoints)
    if config.keep_replay or not saved or saved[-1] < config.steps or not run.holds(config):
        return False
    try:
        return not checkpoint.verify(run.checkpoints, saved[-1]).get("replay", True)
    except BundleError:  # the run goes on from the one before it
        return False


def _prepare(
    config: RunConfig,
    run: RunDirectory,
    population: Population,
    driver: Driver,
    axis: seed_axis.SeedAxis,
    observer: Observer,
    recorder: Recorder,
) -> Loop:
    """Checks all that can be checked, makes the directory, and goes to where the run has been."""
    check_hyperparameters(config.hyperparameters, driver.action.shape[0])
    structs = learning_structs(population, driver.observation, driver.action)
    releases.warn(observer.message)
    observer.message(axis.describe())
    prior = PriorData(population, driver) if config.prior_data else None
    prior_bytes = prior.num_bytes if prior else 0
    plan = memory.plan(axis, structs, prior_bytes)
    begun = bool(checkpoint.steps(run.checkpoints))
    source = init_from.Source(config, structs) if config.init_from and not begun else None
    if prior:
        observer.message(prior.describe())
    on_device = isinstance(driver, DeviceDriver)
    for remark in (*idle.remarks(config, on_device), *driver.remarks, *driver.examine()):
        observer.message(remark)
    if prior:
        driver.prior = axis.share(prior.buffer())
    if memory.needs_program(structs):
        observer.phase("compiling")
        plan = memory.plan(axis, structs, prior_bytes, driver.compile(structs))
    observer.message(plan.describe())
    spaces = Spaces(driver.observation, driver.action, driver.action_map)
    new = run.create(config, spaces, prior.facts if prior else None)
    loop = Loop(config, run, driver, axis, structs, observer, source, prior, recorder)
    if not new:
        loop.resume()
        run.extend(config, spaces)
    return loop


def _close_quietly(driver: Driver) -> None:
    """After an error, which is what is to be told."""
    with contextlib.suppress(Exception):
        driver.close()
