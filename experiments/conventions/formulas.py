"""CleanRL's, jaxrl's and Spinning Up's losses as their sources have them, in float64 NumPy.

Written from the published code alone (CleanRL's `sac_continuous_action.py` at 004f8a0, jaxrl's
`agents/sac` at 44f1b70, Spinning Up's PyTorch `sac`), without anything of jaxsac. The constants
are those of each file, so a preset with another number would not agree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import case
import numpy as np


class Losses(NamedTuple):
    critic: Any
    actor: Any
    alpha: Any
    """None where the temperature is not learned."""


def cleanrl(the: case.Case) -> Losses:
    """γ 0.99, target entropy -A, actions in [-1, 1]: `action_scale` is 1."""

    def get_action(observation: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, output = np.split(forward(the.actor, observation), 2, axis=1)
        std = np.exp(-5 + 0.5 * (2 - -5) * (np.tanh(output) + 1))
        x = mean + std * noise
        y = np.tanh(x)
        return y, np.sum(normal_log_prob(noise, std) - np.log(1 - y**2 + 1e-6), axis=1)

    alpha = np.exp(the.log_alpha)
    next_action, next_log_pi = get_action(the.next_observation, the.next_noise)
    next_q = smallest(the.targets, the.next_observation, next_action) - alpha * next_log_pi
    target = the.reward + (1 - the.terminated) * 0.99 * next_q
    critic = sum(np.mean((q - target) ** 2) for q in each(the.critics, the.observation, the.action))
    action, log_pi = get_action(the.observation, the.noise)
    actor = np.mean(alpha * log_pi - smallest(the.critics, the.observation, action))
    return Losses(critic, actor, np.mean(-alpha * (log_pi - case.ACTION_SIZE)))


def jaxrl(the: case.Case) -> Losses:
    """γ 0.99, target entropy -A/2, the entropy term backed up."""
    temperature = np.exp(the.log_alpha)

    def sample(observation: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, output = np.split(forward(the.actor, observation), 2, axis=1)
        std = np.exp(np.clip(output, -10, 2))
        x = mean + std * noise
        return np.tanh(x), np.sum(normal_log_prob(noise, std) - tanh_log_det(x), axis=1)

    next_action, next_log_prob = sample(the.next_observation, the.next_noise)
    mask = 1 - the.terminated
    target = the.reward + 0.99 * mask * smallest(the.targets, the.next_observation, next_action)
    target -= 0.99 * mask * temperature * next_log_prob
    q1, q2 = each(the.critics, the.observation, the.action)
    critic = np.mean((q1 - target) ** 2 + (q2 - target) ** 2)
    action, log_prob = sample(the.observation, the.noise)
    q = smallest(the.critics, the.observation, action)
    entropy = -np.mean(log_prob)
    return Losses(
        critic, np.mean(log_prob * temperature - q), temperature * (entropy + case.ACTION_SIZE / 2)
    )


def spinningup(the: case.Case) -> Losses:
    """γ 0.99, α fixed at 0.2, whatever the case's."""

    def pi(observation: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, output = np.split(forward(the.actor, observation), 2, axis=1)
        std = np.exp(np.clip(output, -20, 2))
        x = mean + std * noise
        log_prob = np.sum(normal_log_prob(noise, std), axis=1)
        return np.tanh(x), log_prob - np.sum(tanh_log_det(x), axis=1)

    action2, log_prob2 = pi(the.next_observation, the.next_noise)
    soft_value = smallest(the.targets, the.next_observation, action2) - 0.2 * log_prob2
    backup = the.reward + 0.99 * (1 - the.terminated) * soft_value
    q1, q2 = each(the.critics, the.observation, the.action)
    action, log_prob = pi(the.observation, the.noise)
    return Losses(
        np.mean((q1 - backup) ** 2) + np.mean((q2 - backup) ** 2),
        np.mean(0.2 * log_prob - smallest(the.critics, the.observation, action)),
        None,
    )


FORMULAS: dict[str, Callable[[case.Case], Losses]] = {
    "cleanrl": cleanrl,
    "jaxrl": jaxrl,
    "spinningup": spinningup,
}


def forward(network: case.Network, x: np.ndarray) -> np.ndarray:
    """A ReLU network."""
    *hidden, weight, bias = network
    for w, b in zip(hidden[::2], hidden[1::2], strict=True):
        x = np.maximum(x @ w + b, 0)
    return x @ weight + bias


def each(
    critics: list[case.Network], observation: np.ndarray, action: np.ndarray
) -> list[np.ndarray]:
    """Q(s, a) of every critic, (B,)."""
    return [forward(net, np.concatenate([observation, action], axis=1))[:, 0] for net in critics]


def smallest(
    critics: list[case.Network], observation: np.ndarray, action: np.ndarray
) -> np.ndarray:
    """min_i Q_i(s, a), (B,)."""
    return np.minimum(*each(critics, observation, action))


def normal_log_prob(noise: np.ndarray, std: np.ndarray) -> np.ndarray:
    """log N(x; mean, std²) at x = mean + std·noise."""
    return -(noise**2) / 2 - np.log(std) - 0.5 * np.log(2 * np.pi)


def tanh_log_det(x: np.ndarray) -> np.ndarray:
    """log(1 - tanh²(x)) as 2 (log 2 - x - softplus(-2x)), which the two share."""
    return 2 * (np.log(2) - x - np.logaddexp(0, -2 * x))
