# pyright: reportMissingImports=false
"""rejax: its whole training loop, jitted, on gymnax's Pendulum-v1."""

from __future__ import annotations

import jax
from meter import Meter
from peers import settings
from rejax import SAC

STEPS = 100
"""Of one jitted call."""


def train(meter: Meter) -> None:
    """`SAC.train` from the state that the call before returned, evaluation left out."""
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
    steps = jax.jit(lambda state: algorithm.train(train_state=state)[0], donate_argnums=0)
    state = jax.jit(algorithm.init_state)(jax.random.key(0))
    while True:
        state = jax.block_until_ready(steps(state))
        meter.add(STEPS)


WORKLOADS = {"train": train}
