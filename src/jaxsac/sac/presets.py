"""Soft Actor-Critic as other libraries have it, and the algorithms that have grown from it.

A library's preset has its losses, default hyperparameters and initial weights, and the settings of
its training loop that jaxsac has too; an algorithm's has the choices and numbers of its paper. What
remains different, and the proof of the rest, is in the repository under experiments/conventions.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal, NamedTuple

from jaxsac.sac.config import Config, Hyperparameters

LibraryName = Literal["sb3", "sbx", "brax", "rejax", "cleanrl", "jaxrl", "spinningup"]
AlgorithmName = Literal["redq", "droq", "crossq", "tqc", "simba", "xqc", "flashsac", "fast"]
Name = LibraryName | AlgorithmName


class Preset(NamedTuple):
    """The settings of a library or an algorithm, for `init` and for a training loop."""

    config: Config = Config()
    hyperparameters: Hyperparameters = Hyperparameters()
    batch_size: int = 256
    learning_starts: int = 10_000
    """Transitions before the first update."""
    replay_capacity: int = 1_000_000
    utd: float = 1.0
    """Updates per transition."""
    normalize_observations: bool = False
    reward_scale: Literal["none", "return_std", "return_bound"] = "none"
    """What the rewards of a batch are divided by."""
    noise_hold: int = 1
    """Steps for which exploration may keep its noise."""


def gaussian_entropy(std: float) -> float:
    """½ log(2πe σ²), the entropy of a normal distribution, in nats."""
    return 0.5 * math.log(2 * math.pi * math.e * std**2)


# SB3's and SBX's own 100 transitions before the first update are fewer than one batch; the 10,000
# of the defaults are those of SB3's published MuJoCo runs.
LIBRARIES: dict[LibraryName, Preset] = {
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
"""Libraries of SAC as it is."""

# arXiv:2604.04539, on simulators of a CPU. The schedule is that of a million steps.
FLASHSAC = Preset(
    Config(
        body="inverted_residual",
        actor_hidden_sizes=(128, 128),
        critic_hidden_sizes=(256, 256),
        normalization="batch",
        normalize_inputs=True,
        hidden_biases=False,
        head="categorical",
        forward="joint_with_targets",
        actor_forward="joint",
        order="actor_first",
        actor_every=2,
        projection="unit_norm_affine",
        lr_schedule="cosine",
        log_std_map="tanh",
        alpha_loss="alpha",
        target_entropy_scale=-gaussian_entropy(0.15),
    ),
    Hyperparameters(tau=0.01, initial_alpha=0.01, final_lr_scale=0.5, schedule_updates=1e6),
    batch_size=512,
    reward_scale="return_bound",
    noise_hold=16,
)

# Ours: FlashSAC at a quarter of its width and half of its batch. On HalfCheetah-v4 its return at
# 100,000 steps is the best for the work of a step (experiments/family).
FAST = FLASHSAC._replace(
    config=dataclasses.replace(
        FLASHSAC.config, actor_hidden_sizes=(32, 32), critic_hidden_sizes=(64, 64)
    ),
    batch_size=256,
)

ALGORITHMS: dict[AlgorithmName, Preset] = {
    # Chen et al. 2021, arXiv:2101.05982. Its target entropy is a number for each environment.
    "redq": Preset(
        Config(
            num_critics=10,
            target_pessimism="random_subset",
            actor_pessimism="mean",
            actor_every=20,
            log_std_min=-20.0,
        ),
        learning_starts=5_000,
        utd=20.0,
    ),
    # Hiraoka et al. 2021, arXiv:2110.02034.
    "droq": Preset(
        Config(
            critic_normalization="layer",
            critic_dropout_rate=0.01,
            actor_pessimism="mean",
            actor_every=20,
            log_std_min=-20.0,
        ),
        learning_starts=5_000,
        utd=20.0,
    ),
    # Bhatt et al. 2024, arXiv:1902.05605.
    "crossq": Preset(
        Config(
            critic_hidden_sizes=(2048, 2048),
            normalization="batch_renorm",
            normalization_position="after",
            normalize_inputs=True,
            batch_norm_epsilon=1e-3,
            forward="joint",
            actor_every=3,
            optimizer="adamw",
            log_std_min=-20.0,
            initializer="lecun_normal",
        ),
        Hyperparameters(actor_lr=1e-3, critic_lr=1e-3, alpha_lr=1e-3, adam_b1=0.5),
        learning_starts=5_000,
    ),
    # Kuznetsov et al. 2020, arXiv:2005.04269; for HalfCheetah and Hopper dropped_quantiles 0 and 5.
    "tqc": Preset(
        Config(
            critic_hidden_sizes=(512, 512, 512),
            num_critics=5,
            head="quantile",
            target_pessimism="truncated",
            actor_pessimism="mean",
            log_std_min=-20.0,
            initializer="torch",
        ),
    ),
    # Lee et al. 2024, arXiv:2410.09754.
    "simba": Preset(
        Config(
            body="residual",
            actor_hidden_sizes=(128,),
            critic_hidden_sizes=(512, 512),
            optimizer="adamw",
            log_std_map="tanh",
            target_entropy_scale=0.5,
        ),
        Hyperparameters(
            actor_lr=1e-4, critic_lr=1e-4, alpha_lr=1e-4, initial_alpha=0.01, weight_decay=1e-2
        ),
        utd=2.0,
        normalize_observations=True,
    ),
    # Palenicek et al. 2025, arXiv:2509.25174. The schedule is that of a million steps.
    "xqc": Preset(
        Config(
            actor_hidden_sizes=(256,) * 4,
            critic_hidden_sizes=(512,) * 4,
            normalization="batch",
            normalize_inputs=True,
            batch_norm_epsilon=1e-3,
            hidden_biases=False,
            head="categorical",
            forward="joint_with_targets",
            actor_every=3,
            projection="unit_norm",
            lr_schedule="linear",
            alpha_loss="alpha",
            target_entropy_scale=0.5,
        ),
        Hyperparameters(gamma=0.995, initial_alpha=0.01, final_lr_scale=0.1, schedule_updates=2e6),
        learning_starts=5_000,
        utd=2.0,
        reward_scale="return_std",
    ),
    "flashsac": FLASHSAC,
    "fast": FAST,
}
"""What has grown from SAC."""

PRESETS: dict[Name, Preset] = {**LIBRARIES, **ALGORITHMS}


def preset(name: Name) -> Preset:
    """The settings of another library, or of an algorithm of the family.

    Args:
      name: sb3 (Stable-Baselines3), sbx, brax, rejax, cleanrl, jaxrl or spinningup; or redq, droq,
        crossq, tqc, simba, xqc or flashsac; or fast, a small FlashSAC of our own.

    Returns:
      `config` and `hyperparameters` for `init`; `batch_size`, `learning_starts`, `replay_capacity`,
      `utd`, `normalize_observations`, `reward_scale` and `noise_hold` for a training loop, which
      `jaxsac.normalize`, `jaxsac.return_scale` and `jaxsac.held_noise` put into practice.

    Raises:
      ValueError: a name that is none of these.
    """
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}.")
    return PRESETS[name]
