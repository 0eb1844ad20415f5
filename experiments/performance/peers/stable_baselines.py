# pyright: reportMissingImports=false
"""The workloads of Stable-Baselines3 and of SBX, which share its interface."""

from __future__ import annotations

from functools import partial
from typing import Any

from meter import Meter
from peers import settings
from stable_baselines3.common.logger import Logger

REPORT_EVERY = 10
FILLED = 1_000


def workloads(algorithm: Any) -> dict[str, Any]:
    """What can be measured of a SAC class."""
    return {
        "update": partial(update, algorithm),
        "train": partial(train, algorithm, train_freq=1),
        "train blocked": partial(train, algorithm, train_freq=settings.BLOCK),
    }


def update(algorithm: Any, meter: Meter) -> None:
    """`train(gradient_steps=1)`, which draws its own batch from a small filled replay."""
    model = make(algorithm, learning_starts=FILLED, buffer_size=FILLED)
    model.learn(FILLED, log_interval=None)
    while True:
        model.train(gradient_steps=1, batch_size=settings.BATCH_SIZE)
        meter.add(1)


def train(algorithm: Any, meter: Meter, train_freq: int) -> None:
    """`learn`, in pieces that do not reset anything."""
    model = make(
        algorithm,
        learning_starts=settings.LEARNING_STARTS,
        buffer_size=settings.REPLAY_CAPACITY,
        train_freq=train_freq,
        gradient_steps=train_freq,
    )
    model.learn(settings.LEARNING_STARTS, log_interval=None)
    steps = max(REPORT_EVERY, train_freq)
    while True:
        model.learn(steps, log_interval=None, reset_num_timesteps=False)
        meter.add(steps)


def make(algorithm: Any, **options: Any) -> Any:
    """A model with the common settings, by default 256×256 networks, that logs nothing."""
    model = algorithm(
        "MlpPolicy",
        settings.ENV,
        learning_rate=settings.LEARNING_RATE,
        batch_size=settings.BATCH_SIZE,
        gamma=settings.GAMMA,
        **options,
    )
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model
