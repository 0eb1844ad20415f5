"""Evaluation on environments and keys of its own: it never touches training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxsac.envs import host


class Evaluation(NamedTuple):
    """Undiscounted returns and lengths, each (S, episodes)."""

    returns: np.ndarray
    lengths: np.ndarray


def evaluate(
    envs: host.HostEnvs,
    act: Callable[[Any], np.ndarray],
    members: list[int],
    step: int,
) -> Evaluation:
    """One episode in every environment, all seeds and episodes as one batch.

    The start states depend on the member's number and on `step` alone, so an evaluation can be
    repeated exactly, and how often it runs changes nothing else.

    Args:
      envs: S seeds × one environment per episode.
      act: observation (S, E, ...) -> action (S, E, A).
      members: the S seed numbers.
      step: transitions trained so far.
    """
    seeds = [
        number
        for member in members
        for number in host.environment_seeds(member, (EVALUATION_STREAM, step), envs.num_envs)
    ]
    arrival = envs.reset(seeds)
    returns = np.full((envs.num_seeds, envs.num_envs), np.nan)
    lengths = np.zeros((envs.num_seeds, envs.num_envs), np.int64)
    while np.isnan(returns).any():
        before = envs.discarded.sum()
        arrival, episodes = envs.step(np.asarray(act(arrival.observation)))
        if envs.discarded.sum() > before:
            raise FloatingPointError(
                "the environment returned a NaN or an infinity (or was given one) during an "
                "evaluation, so its return has no value."
            )
        for episode in episodes:
            where = episode.seed_index, episode.env_index
            if np.isnan(returns[where]):
                returns[where], lengths[where] = episode.episode_return, episode.length
    return Evaluation(returns, lengths)


TRAINING_STREAM, EVALUATION_STREAM = 0, 1
