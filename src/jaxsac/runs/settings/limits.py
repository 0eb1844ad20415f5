"""What a run may be: ranges of numbers, and settings that do not go together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, get_args

from jaxsac.data.return_scale import RewardScaleName
from jaxsac.runs.sinks.sink import SinkName
from jaxsac.sac.checks import check_hyperparameters

if TYPE_CHECKING:
    from jaxsac.runs.settings.config import RunConfig

SMALLEST_UTD = 1e-6
MOST_FRAMES = 2**31
"""That a member's replay can count, of which a transition brings two at most."""
AT_LEAST = {
    "seeds": 1,
    "steps": 1,
    "num_envs": 1,
    "update_every": 1,
    "frame_stack": 1,
    "n_step": 1,
    "noise_hold": 1,
    "batch_size": 1,
    "replay_capacity": 1,
    "log_every": 1,
    "seed": 0,
    "learning_starts": 0,
    "reset_every": 0,
    "eval_every": 0,
    "eval_envs": 0,
    "env_workers": 0,
    "checkpoint_every": 0,
    "offline_steps": 0,
    "record_every": 0,
}
CHOICES = {"seed_layout": ("auto", "vmap", "map"), "reward_scale": get_args(RewardScaleName)}


def check(config: RunConfig) -> None:
    """Refuses a run that cannot be.

    Raises:
      ValueError: says which setting has which value, and what it may be.
    """
    if not isinstance(config.env, str):
        raise ValueError(f"env must be the id of an environment, got {config.env!r}.")
    for name in ("init_from", "prior_data"):
        if getattr(config, name) == "":
            raise ValueError(f"{name} is an empty text: name what to begin with, or leave it out.")
    if config.init_replay and config.init_from is None:
        raise ValueError("init_replay is of the run that init_from names: give that too.")
    _check_counts(config)
    for name, choices in CHOICES.items():
        if (value := getattr(config, name)) not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")
    for name in config.log:
        if name not in (known := get_args(SinkName)):
            raise ValueError(f"log must be some of {', '.join(known)}, got {name!r}.")
    _check_numbers(config)
    _check_first_batch(config)
    _check_sweep(config)
    check_hyperparameters(config.hyperparameters, config=config.agent)
    _check_prior_data(config)
    _check_frame_stack(config)


def _check_counts(config: RunConfig) -> None:
    for name, least in AT_LEAST.items():
        value = getattr(config, name)
        if isinstance(value, int) and value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}.")
    if config.eval_every and config.eval_episodes < 1:
        raise ValueError(f"eval_episodes must be at least 1, got {config.eval_episodes}.")
    if config.seed > 2**32 - config.seeds:
        raise ValueError(
            f"seeds must be below 2^32, as keys do not tell larger ones apart; got {config.seed} "
            f"to {config.seed + config.seeds - 1}."
        )


def _check_numbers(config: RunConfig) -> None:
    if not 0 <= config.env_timeout < math.inf:
        raise ValueError(
            f"env_timeout must be 0 or a positive number of seconds, got {config.env_timeout}."
        )
    if not (math.isfinite(config.utd) and config.utd >= SMALLEST_UTD):
        raise ValueError(f"utd must be a positive number from {SMALLEST_UTD} on, got {config.utd}.")
    if not 0 < config.reward_scale_bound < math.inf:
        raise ValueError(
            f"reward_scale_bound must be a positive number, got {config.reward_scale_bound}."
        )


def _check_first_batch(config: RunConfig) -> None:
    """Replay holds a batch when the first one is drawn."""
    waiting = (config.n_step - 1) * config.num_envs
    held = min(config.learning_starts - waiting, config.replay_capacity)
    if config.batch_size > held:
        wait = f" - (n_step {config.n_step} - 1) · num_envs {config.num_envs}" * (config.n_step > 1)
        raise ValueError(
            f"batch_size {config.batch_size} is more than replay holds at the first update "
            f"({held} = the smaller of learning_starts {config.learning_starts}{wait} and "
            f"replay_capacity {config.replay_capacity}): raise those or lower batch_size."
        )


def _check_sweep(config: RunConfig) -> None:
    lengths = {len(values) for values in config.swept.values()}
    if len(lengths) > 1 or 0 in lengths:
        raise ValueError(f"swept hyperparameters need equally many values, got {lengths}.")


def _check_prior_data(config: RunConfig) -> None:
    if not 0 <= config.prior_fraction <= 1:
        raise ValueError(f"prior_fraction must be from 0 to 1, got {config.prior_fraction}.")
    if config.prior_data is None:
        for name in ("prior_fraction", "offline_steps"):
            if getattr(config, name) != getattr(type(config), name):
                raise ValueError(f"{name} is of the data that prior_data names: give that too.")
        return
    if not config.prior_rows and not config.offline_steps:
        raise ValueError(
            f"nothing would be drawn from prior_data: prior_fraction {config.prior_fraction} of "
            f"a batch of {config.batch_size} is no row, and there are no offline_steps."
        )
    if config.n_step > 1 and "gamma" in config.swept:
        raise ValueError(
            "returns of several steps of prior_data are made once for all members, so gamma "
            "cannot be swept over with it: take n_step 1, or a run for each gamma."
        )


def _check_frame_stack(config: RunConfig) -> None:
    if config.frame_stack == 1:
        return
    for name, what in (("prior_data", "a data set"), ("init_replay", "another run's replay")):
        if getattr(config, name):
            raise ValueError(
                f"{name} cannot be used with frame_stack {config.frame_stack}: {what} holds "
                "single observations, not where they are stacked."
            )
    if config.steps > MOST_FRAMES // 2:
        raise ValueError(
            f"steps must be at most {MOST_FRAMES // 2:,} with frame_stack, got {config.steps:,}."
        )
