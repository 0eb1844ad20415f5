# pyright: reportMissingImports=false
"""Brax: its SAC trainer on its own inverted pendulum."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from brax import envs
from brax.training import acting
from brax.training.agents.sac.train import train as run_training
from meter import Meter
from peers import settings

STEPS = 100
"""Of one jitted call."""
EPISODE_LENGTH = 1_000


def train(meter: Meter) -> None:
    """Brax's `train`, evaluation left out."""
    _restore_device_put_replicated()
    # The trainer always evaluates before it reports progress.
    acting.Evaluator.run_evaluation = lambda self, policy_params, training_metrics: training_metrics
    calls = settings.FOREVER // STEPS
    seen = settings.LEARNING_STARTS

    def progress(step: int, metrics: Any) -> None:
        nonlocal seen
        if step > seen:
            new, seen = step - seen, step
            meter.add(new)

    run_training(
        envs.get_environment("inverted_pendulum"),
        num_timesteps=settings.LEARNING_STARTS + calls * STEPS,
        episode_length=EPISODE_LENGTH,
        num_evals=calls + 1,
        num_envs=1,
        num_eval_envs=1,
        grad_updates_per_step=1,
        learning_rate=settings.LEARNING_RATE,
        discounting=settings.GAMMA,
        batch_size=settings.BATCH_SIZE,
        min_replay_size=settings.LEARNING_STARTS,
        max_replay_size=settings.DEVICE_REPLAY_CAPACITY,
        progress_fn=progress,
    )


def _restore_device_put_replicated() -> None:
    """Brax 0.14.2 calls a function that JAX 0.10 has removed."""

    def device_put_replicated(tree: Any, devices: list[Any]) -> Any:
        return jax.tree.map(lambda leaf: jnp.stack([leaf] * len(devices)), tree)

    jax.device_put_replicated = device_put_replicated  # pyright: ignore[reportAttributeAccessIssue]


WORKLOADS = {"train": train}
