"""jaxsac: its update, the matrix products of one, and its trainer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from meter import Meter
from peers import settings
from roofline import compile_products, update_products

import jaxsac
from jaxsac.runs.display.observer import Progress
from jaxsac.runs.settings.config import RunConfig
from jaxsac.runs.train import train as run_training

OBSERVATION_SIZE, ACTION_SIZE = 17, 6


def update(meter: Meter) -> None:
    """Three parts on one fixed batch: an update a dispatch, updates in a scan, the products alone.

    They share a process, so a ratio between two of them is free of what differs between processes.
    """
    builders = {
        "matrix products": repeat_products,
        "update": repeat_update,
        "update in scan": scan_update,
    }
    parts: dict[str, Callable[[], None]] = {}
    while True:
        if meter.part not in parts:
            parts[meter.part] = builders[meter.part]()
        parts[meter.part]()
        meter.add(settings.BLOCK)


def train(
    env: str,
    num_seeds: int,
    replay_capacity: int,
    num_devices: int,
    layout: Any,
    meter: Meter,
    update_every: int = 1,
) -> None:
    """The trainer, as `jaxsac train` runs it, without evaluation.

    Args:
      env: id of the environment.
      num_seeds: trained together.
      replay_capacity: of each.
      num_devices: that the cores are presented as; 0 leaves it to the trainer.
      layout: of the seeds that share a device.
      meter: told of the updates.
      update_every: steps with one policy, before as many updates.
    """
    if num_devices:
        jax.config.update("jax_num_cpu_devices", num_devices)
    config = RunConfig(
        env,
        seeds=num_seeds,
        steps=settings.FOREVER,
        learning_starts=settings.LEARNING_STARTS,
        update_every=update_every,
        batch_size=settings.BATCH_SIZE,
        replay_capacity=replay_capacity,
        eval_every=0,
        log_every=settings.FOREVER,
        checkpoint_every=0,
        seed_layout=layout,
        agent=jaxsac.Config(hidden_sizes=settings.HIDDEN_SIZES),
        hyperparameters=_hyperparameters(),
    )
    with tempfile.TemporaryDirectory() as directory:
        run_training(config, Path(directory), _MeterObserver(meter, num_seeds))


ENVIRONMENTS = {
    "": (settings.ENV, settings.REPLAY_CAPACITY),
    " on device": ("jaxsac:Pendulum-v1", settings.DEVICE_REPLAY_CAPACITY),
}
LAYOUTS = {
    "": (0, "auto"),
    ", 1 device, vmap": (1, "vmap"),
    ", 1 device, map": (1, "map"),
    ", 2 devices, vmap": (2, "vmap"),
    ", 2 devices, map": (2, "map"),
}
WORKLOADS = {"update": update} | {
    f"train {count} seeds{where}{how}": partial(train, env, count, capacity, devices, layout)
    for count in settings.SEED_COUNTS
    for where, (env, capacity) in ENVIRONMENTS.items()
    for how, (devices, layout) in LAYOUTS.items()
}
"""Such as `train 4 seeds on device, 2 devices, map`."""
WORKLOADS |= {
    f"{name} blocked": partial(WORKLOADS[name], update_every=settings.BLOCK)
    for name in ("train 1 seeds", "train 8 seeds")
}


class _MeterObserver:
    """Counts the updates of all seeds, a few times a second."""

    def __init__(self, meter: Meter, num_seeds: int) -> None:
        self._meter, self._num_seeds, self._seen = meter, num_seeds, settings.LEARNING_STARTS

    def message(self, text: str) -> None:
        pass

    def phase(self, phase: object) -> None:
        pass

    def started(self, step: int, seconds: float) -> None:
        pass

    def stepped(self, step: int) -> None:
        if step > self._seen:
            new, self._seen = step - self._seen, step
            self._meter.add(new * self._num_seeds)

    def progress(self, progress: Progress) -> None:
        pass


def repeat_update() -> Callable[[], None]:
    step = jax.jit(_step, donate_argnums=0)
    learner, batch = _learner(), _batch()

    def repeat() -> None:
        nonlocal learner
        for _ in range(settings.BLOCK):
            learner, _metrics = step(learner, batch)
        jax.block_until_ready(learner)

    return repeat


def scan_update() -> Callable[[], None]:
    @partial(jax.jit, donate_argnums=0)
    def scan(learner: Any, batch: jaxsac.Transition) -> tuple[Any, jaxsac.Metrics]:
        return jax.lax.scan(
            lambda learner, _: _step(learner, batch), learner, length=settings.BLOCK
        )

    learner, batch = _learner(), _batch()

    def repeat() -> None:
        nonlocal learner
        learner, _metrics = scan(learner, batch)
        jax.block_until_ready(learner)

    return repeat


def repeat_products() -> Callable[[], None]:
    products = update_products(OBSERVATION_SIZE, ACTION_SIZE, settings.HIDDEN_SIZES)
    compute = compile_products(products, settings.BATCH_SIZE, jax.random.key(0))

    def repeat() -> None:
        for _ in range(settings.BLOCK - 1):
            compute()
        jax.block_until_ready(compute())

    return repeat


def _step(learner: Any, batch: jaxsac.Transition) -> tuple[Any, jaxsac.Metrics]:
    state, key = learner
    key, update_key = jax.random.split(key)
    state, metrics = jaxsac.update(state, batch, update_key)
    return (state, key), metrics


def _learner() -> tuple[jaxsac.State, jax.Array]:
    observation, action = jnp.zeros(OBSERVATION_SIZE), jnp.zeros(ACTION_SIZE)
    config = jaxsac.Config(hidden_sizes=settings.HIDDEN_SIZES)
    state = jaxsac.init(jax.random.key(0), observation, action, config, _hyperparameters())
    return state, jax.random.key(1)


def _batch() -> jaxsac.Transition:
    keys = jax.random.split(jax.random.key(2), 4)
    size = settings.BATCH_SIZE
    return jaxsac.Transition(
        observation=jax.random.normal(keys[0], (size, OBSERVATION_SIZE)),
        action=jax.random.uniform(keys[1], (size, ACTION_SIZE), minval=-1, maxval=1),
        reward=jax.random.normal(keys[2], (size,)),
        discount=jnp.ones(size),
        next_observation=jax.random.normal(keys[3], (size, OBSERVATION_SIZE)),
    )


def _hyperparameters() -> jaxsac.Hyperparameters:
    rate = settings.LEARNING_RATE
    return jaxsac.Hyperparameters(
        actor_lr=rate, critic_lr=rate, alpha_lr=rate, gamma=settings.GAMMA
    )
