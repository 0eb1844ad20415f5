"""jaxsac: its update, the matrix products of one, and its trainer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from meter import Meter
from peers import settings
from roofline import compile_products, update_products

import jaxsac
from jaxsac.envs.pendulum import Pendulum
from jaxsac.runner import device_loop, loop, seeds
from jaxsac.runner.config import RunConfig
from jaxsac.runner.observer import Progress
from jaxsac.runner.train import train as run_training

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


def train(num_seeds: int, meter: Meter) -> None:
    """The trainer, as `jaxsac train` runs it, without evaluation."""
    config = RunConfig(
        settings.ENV,
        seeds=num_seeds,
        steps=settings.FOREVER,
        learning_starts=settings.LEARNING_STARTS,
        batch_size=settings.BATCH_SIZE,
        replay_capacity=settings.REPLAY_CAPACITY,
        eval_every=0,
        log_every=settings.FOREVER,
        checkpoint_every=0,
        agent=jaxsac.Config(hidden_sizes=settings.HIDDEN_SIZES),
        hyperparameters=_hyperparameters(),
    )
    with tempfile.TemporaryDirectory() as directory:
        run_training(config, Path(directory), _MeterObserver(meter, num_seeds))


def train_on_device(meter: Meter) -> None:
    """Pendulum in JAX: environment and learning in one compiled program, 50 steps a dispatch."""
    env = Pendulum()
    schedule = loop.Schedule(settings.LEARNING_STARTS, utd=Fraction(1))
    members = jnp.zeros(1, jnp.int32)
    config = jaxsac.Config(hidden_sizes=settings.HIDDEN_SIZES)
    carry = device_loop.init(
        members, env, 1, settings.DEVICE_REPLAY_CAPACITY, config, _hyperparameters()
    )
    learn = jax.jit(
        partial(
            device_loop.learn_chunk,
            env=env,
            batch_size=settings.BATCH_SIZE,
            over_seeds=seeds.over_seeds(seeds.mesh_for(1)),
        ),
        donate_argnums=0,
    )
    step = 0
    while True:
        before = schedule.updates_due(step)
        carry, _ended = learn(carry, device_loop.works(schedule, step, settings.BLOCK, 1))
        jax.block_until_ready(carry)
        step += settings.BLOCK
        if schedule.updates_due(step) > before:
            meter.add(schedule.updates_due(step) - before)


WORKLOADS = {
    "update": update,
    "train 1 seed": partial(train, 1),
    "train 4 seeds": partial(train, 4),
    "train 8 seeds": partial(train, 8),
    "train on device": train_on_device,
}


class _MeterObserver:
    """Counts the updates of all seeds, a few times a second."""

    def __init__(self, meter: Meter, num_seeds: int) -> None:
        self._meter, self._num_seeds, self._seen = meter, num_seeds, settings.LEARNING_STARTS

    def message(self, text: str) -> None:
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
