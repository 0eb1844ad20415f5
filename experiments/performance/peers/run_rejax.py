# pyright: reportMissingImports=false
"""rejax: its whole training loop, jitted, on gymnax's Pendulum-v1."""

from __future__ import annotations

from functools import partial

import jax
from meter import Meter
from peers import settings
from rejax import SAC

STEPS = 100
"""Of one jitted call."""


def train(num_seeds: int, meter: Meter) -> None:
    """`SAC.train` from the state that the call before returned, evaluation left out.

    Several seeds are a `jax.vmap` over their keys, as its README does it.
    """
    algorithm = SAC.create(
        env="Pendulum-v1",
        num_envs=1,
        num_epochs=1,
        learning_rate=settings.LEARNING_RATE,
        gamma=settings.GAMMA,
        batch_size=settings.BATCH_SIZE,
        buffer_size=settings.DEVICE_REPLAY_CAPACITY,
        fill_buffer=0,
        hidden_layer_sizes=settings.HIDDEN_SIZES,
        total_timesteps=STEPS,
        eval_freq=STEPS,
        skip_initial_evaluation=True,
    ).replace(eval_callback=lambda *_: ())
    steps = jax.vmap(lambda state: algorithm.train(train_state=state)[0])
    steps = jax.jit(steps, donate_argnums=0)
    state = jax.jit(jax.vmap(algorithm.init_state))(jax.random.split(jax.random.key(0), num_seeds))
    while True:
        state = jax.block_until_ready(steps(state))
        meter.add(STEPS * num_seeds)


WORKLOADS = {f"train {count} seeds": partial(train, count) for count in settings.SEED_COUNTS}
