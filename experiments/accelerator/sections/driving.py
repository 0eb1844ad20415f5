"""The trainer's drivers, without what a run writes down."""

from __future__ import annotations

import functools
import time
from typing import Any

from section import REHEARSE, left, row  # isort: skip
import jax
import numpy as np

import jaxsac
from jaxsac.data import packing
from jaxsac.runs.settings.config import RunConfig
from jaxsac.training import device_loop, memory, seed_axis
from jaxsac.training.driver import learning_structs
from jaxsac.training.drivers import make_driver
from jaxsac.training.schedule import Work

HIDDEN, BATCH = ((16, 16), 8) if REHEARSE else ((256, 256), 256)
AGENT = jaxsac.Config(hidden_sizes=HIDDEN)


def settings(env: str, seeds: int, **changes: Any) -> RunConfig:
    """A run of the usual sizes, without evaluation."""
    own = {"learning_starts": BATCH, "batch_size": BATCH, "eval_every": 0, "agent": AGENT}
    return RunConfig(env, seeds=seeds, steps=10**9, **{**own, **changes})


def driver_of(config: RunConfig) -> Any:
    """A driver that has not started."""
    return make_driver(config.to_population(), seed_axis.axis(config.population))


def planned_bytes(config: RunConfig, driver: Any) -> int:
    """What the trainer says that the learners take."""
    structs = learning_structs(config.to_population(), driver.observation, driver.action)
    return memory.num_bytes(structs)


def lowered_chunk(driver: Any) -> Any:
    """The traced program of a device driver that has not started."""
    carry = jax.eval_shape(functools.partial(device_loop.init, env=driver._env), driver._population)
    works = driver._population.schedule.works(0, 1000, 1)
    return driver._learn_chunk.lower(_placed(driver, carry), works, 1, ())


def lowered_step(driver: Any) -> Any:
    """The traced program of a host driver that has not started."""
    structs = learning_structs(driver._population, driver.observation, driver.action)
    shape = (driver._population.size, driver._population.num_envs)
    results = {
        dtype: jax.ShapeDtypeStruct((*shape, width), dtype)
        for dtype, width in packing.widths(driver._results).items()
    }
    work = driver._axis.share(Work(np.int32(1), np.bool_(False)))
    return driver._learn_step.lower(_placed(driver, structs), results, work, ())


def _placed(driver: Any, structs: Any) -> Any:
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=driver._axis.sharding), structs
    )


def steps_per_second(driver: Any, seconds: float, chunk: int = 0) -> float:
    """Transitions per seed and second, once it learns.

    Args:
      driver: that has started.
      seconds: to measure for.
      chunk: steps of a dispatch, of a device driver.
    """
    while driver.step <= 2 * BATCH:
        if chunk:
            driver._chunk = BATCH
        driver.advance(10**9)
    if chunk:
        driver._chunk, driver._adapt = chunk, lambda *_: None
        driver.advance(10**9)
    jax.block_until_ready(driver.learning.action)
    start, step = time.perf_counter(), driver.step
    end = start + min(seconds, max(left(), 0.5))
    while time.perf_counter() < end:
        driver.advance(10**9)
    jax.block_until_ready(driver.learning.action)
    return (driver.step - step) / (time.perf_counter() - start)


def report(what: str, rate: float, seeds: int, setting: str = "") -> None:
    """Rows of a rate."""
    row(what, rate * seeds, "seed-steps/s", seeds, setting)
    row(f"{what}, each", rate, "steps/s", seeds, setting)
