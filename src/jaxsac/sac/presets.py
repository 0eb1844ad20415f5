"""Soft Actor-Critic as other libraries have it.

A preset has the losses, the default hyperparameters and the initial weights of a library, and the
settings of its training loop that jaxsac has too. What remains different, and the proof of the
rest, is in the repository under experiments/conventions.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from jaxsac.sac.config import Config, Hyperparameters

Name = Literal["sb3", "sbx", "brax", "rejax", "cleanrl", "jaxrl", "spinningup"]


class Preset(NamedTuple):
    """The settings of another library, for `init` and for a training loop."""

    config: Config = Config()
    hyperparameters: Hyperparameters = Hyperparameters()
    batch_size: int = 256
    learning_starts: int = 10_000
    """Transitions before the first update."""
    replay_capacity: int = 1_000_000


# SB3's and SBX's own 100 transitions before the first update are fewer than one batch; the 10,000
# of the defaults are those of SB3's published MuJoCo runs.
PRESETS: dict[Name, Preset] = {
    "sb3": Preset(Config(log_std_min=-20.0, log_prob_epsilon=1e-6, initializer="torch")),
    "sbx": Preset(Config(log_std_min=-20.0, initializer="lecun_normal")),
    "brax": Preset(
        Config(
            log_std_map="softplus",
            log_std_min=math.log(1e-3),
            alpha_loss="alpha",
            target_entropy_scale=0.5,
            initializer="lecun_uniform",
        ),
        Hyperparameters(actor_lr=1e-4, critic_lr=1e-4, gamma=0.9),
    ),
    "rejax": Preset(
        Config(hidden_sizes=(64, 64), alpha_loss="alpha", initializer="lecun_normal"),
        Hyperparameters(tau=0.01),
        learning_starts=2_048,
        replay_capacity=131_072,
    ),
    "cleanrl": Preset(
        Config(
            log_std_map="tanh",
            log_std_min=-5.0,
            log_prob_epsilon=1e-6,
            alpha_loss="alpha",
            initializer="torch",
        ),
        Hyperparameters(critic_lr=1e-3, alpha_lr=1e-3),
        learning_starts=5_000,
    ),
    "jaxrl": Preset(Config(alpha_loss="alpha", target_entropy_scale=0.5)),
    "spinningup": Preset(
        Config(log_std_min=-20.0, initializer="torch"),
        Hyperparameters(actor_lr=1e-3, critic_lr=1e-3, alpha_lr=0.0, initial_alpha=0.2),
        batch_size=100,
    ),
}


def preset(name: Name) -> Preset:
    """The settings of another library.

    Args:
      name: sb3 (Stable-Baselines3), sbx, brax, rejax, cleanrl, jaxrl or spinningup.

    Returns:
      `config` and `hyperparameters` for `init`; `batch_size`, `learning_starts` and
      `replay_capacity` for a training loop.

    Raises:
      ValueError: a name that is none of these.
    """
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}.")
    return PRESETS[name]
