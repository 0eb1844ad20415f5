"""Copies of an environment in this process, stepped in turn."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import gymnasium
import jax
import numpy as np
from gymnasium.vector.utils import concatenate, create_empty_array

from jaxsac.envs import spaces
from jaxsac.envs.action_log import ActionLog, follow, generator_state
from jaxsac.envs.copies.group import Followed, Restarted, Stepped
from jaxsac.envs.fitness.clipped import refuse_clipped
from jaxsac.envs.walk import close_quietly
from jaxsac.types import PyTree

T = TypeVar("T")


class InTurn:
    """A `Group` of copies in this process."""

    def __init__(self, envs: Sequence[gymnasium.Env]) -> None:
        """Takes over the copies.

        Raises:
          ValueError: an observation space that cannot be learned on, actions whose bounds are
            hidden, or copies that differ.
        """
        self.envs = list(envs)
        self.observation_space = self.envs[0].observation_space
        self.action_space = self.envs[0].action_space
        try:
            self._check_alike()
            refuse_clipped(self.envs[0])
            self._example = spaces.observation_example(self.observation_space)
        except BaseException:
            close_quietly(self.envs)
            raise
        self._closing = contextlib.ExitStack()
        for env in reversed(self.envs):
            self._closing.callback(env.close)

    @np.errstate(all="ignore")
    def _check_alike(self) -> None:
        for env in self.envs:
            same = env.observation_space == self.observation_space
            if not (same and env.action_space == self.action_space):
                raise ValueError(
                    f"{env} has other spaces than {self.envs[0]}: copies must be alike."
                )

    def __len__(self) -> int:
        return len(self.envs)

    def ask_first(self, question: Callable[..., T], *arguments: Any) -> T:
        """As `Group.ask_first`."""
        return question(self.envs[0], *arguments)

    def reset(self, seeds: Sequence[int]) -> PyTree:
        """As `Group.reset`."""
        pairs = zip(self.envs, seeds, strict=True)
        return self._stack([env.reset(seed=seed)[0] for env, seed in pairs])

    def restart(self, indices: Sequence[int]) -> Restarted:
        """As `Group.restart`."""
        observations, generators = [], []
        for i in indices:
            generators.append(generator_state(self.envs[i]))
            observations.append(self.envs[i].reset()[0])
        return Restarted(self._stack(observations), generators)

    def step(self, actions: np.ndarray) -> Stepped:
        """As `Group.step`. Infos are not looked at: no two need have anything in common."""
        observations, rewards = [], []
        terminated, truncated = np.zeros((2, len(self)), bool)
        for i, (env, action) in enumerate(zip(self.envs, actions, strict=True)):
            observation, reward, terminated[i], truncated[i], _ = env.step(action)
            observations.append(observation)
            rewards.append(reward)
        with np.errstate(all="ignore"):  # a simulator may have set another, and none is meant here
            reward = np.array(rewards, np.float64).astype(np.float32)
        return Stepped(self._stack(observations), reward, terminated, truncated)

    def follow(self, logs: Sequence[ActionLog], actions: Sequence[np.ndarray]) -> Followed:
        """As `Group.follow`."""
        each = [follow(*one) for one in zip(self.envs, logs, actions, strict=True)]
        observations, returns, lengths = zip(*each, strict=True)
        return Followed(
            self._stack(observations), np.array(returns, float), np.array(lengths, np.int64)
        )

    def close(self) -> None:
        """As `Group.close`."""
        self._closing.close()

    @np.errstate(all="ignore")
    def _stack(self, observations: Sequence[Any]) -> PyTree:
        """One observation of each copy as a batch (N, ...), in the dtypes of the example.

        It is a copy: an environment may write its next observation into the same array.
        """
        space = self.observation_space
        rows = concatenate(space, observations, create_empty_array(space, len(observations)))
        return jax.tree.map(
            lambda struct, x: x.astype(struct.dtype, copy=False), self._example, rows
        )
