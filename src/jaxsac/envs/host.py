"""Gymnasium environments on the host: seeds × environments as one batch of true transitions.

The copies are stepped in turn, and the driver owns their resets, so a step's observation is always
the true one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium
import jax
import numpy as np
from gymnasium.vector.utils import concatenate, create_empty_array

from jaxsac.envs import spaces
from jaxsac.envs.action_log import ActionLog, follow
from jaxsac.envs.step_result import EpisodeEnd, StepResult
from jaxsac.types import PyTree, same_bits


def result_structs(observation: PyTree) -> StepResult:
    """Structs of what a step of one environment returns, by those of an observation."""
    number, flag = (jax.ShapeDtypeStruct((), dtype) for dtype in (np.float32, bool))
    return StepResult(number, number, observation, flag, observation, flag)


class Snapshot(NamedTuple):
    """What brings fresh environments to where others are; N = S·E copies."""

    logs: list[ActionLog]
    returns: np.ndarray
    """Of the running episodes, float64 (N,)."""
    lengths: np.ndarray
    """Of the running episodes, int64 (N,)."""


def environment_seeds(seed: int, stream: Sequence[int], count: int) -> list[int]:
    """Seeds for `count` environments that depend on the member's own seed and a stream alone."""
    sequence = np.random.SeedSequence([seed, *stream])
    return [int(word) for word in sequence.generate_state(count)]


class HostEnvs:
    """S seeds × E environments, stepped in turn."""

    def __init__(self, envs: Sequence[gymnasium.Env], num_seeds: int) -> None:
        """Takes over S·E copies of an environment; copy s·E + e belongs to seed s.

        Raises:
          ValueError: spaces that cannot be learned on or are not the same in all copies, or a
            number of copies that `num_seeds` does not divide.
        """
        if num_seeds < 1 or len(envs) % num_seeds:
            raise ValueError(f"{len(envs)} environments do not divide over {num_seeds} seeds.")
        self._space, actions = envs[0].observation_space, envs[0].action_space
        for env in envs:
            if env.observation_space != self._space or env.action_space != actions:
                raise ValueError(f"{env} has other spaces than {envs[0]}: copies must be alike.")
        self.action_map = spaces.action_map(actions)
        self.observation_example = spaces.observation_example(self._space)
        self._envs = list(envs)
        self.num_seeds, self.num_envs = num_seeds, len(envs) // num_seeds
        self._closing = contextlib.ExitStack()
        for env in reversed(self._envs):
            self._closing.callback(env.close)

    @property
    def first(self) -> gymnasium.Env:
        """One of the copies."""
        return self._envs[0]

    def reset(self, seeds: Sequence[int]) -> PyTree:
        """Starts all S·E episodes; `seeds` holds one number for each copy.

        Returns:
          The first observations, (S, E, ...).
        """
        pairs = zip(self._envs, seeds, strict=True)
        observation = self._stack([env.reset(seed=seed)[0] for env, seed in pairs])
        count = len(self._envs)
        self._finite = _finite_rows(observation)
        self._returns, self._lengths = np.zeros(count), np.zeros(count, np.int64)
        self._logs = [ActionLog(seed) for seed in seeds]
        return self._by_seed(observation)

    def step(self, action: np.ndarray) -> tuple[StepResult, EpisodeEnd]:
        """Steps every environment, and starts the next episode of those that have ended.

        A step with a NaN or an infinity in observation, reward or action is no transition, and its
        episode is over.

        Args:
          action: (S, E, A) in [-1, 1]. A row that is not finite is replaced by zeros.
        """
        action = np.asarray(action).reshape(len(self._envs), self.action_map.size)
        finite_action = _finite_rows(action)
        action = np.where(finite_action[:, None], action, np.zeros_like(action))
        observations, reward, terminated, truncated = self._step_each(self.action_map(action))
        next_observation = self._stack(observations)
        finite = _finite_rows(next_observation)
        valid = finite_action & np.isfinite(reward) & self._finite & finite
        done = terminated | truncated
        returns, lengths = self._returns + reward, self._lengths + 1

        over = done | ~valid
        observation, logs = next_observation, list(self._logs)
        for i in np.flatnonzero(over):
            logs[i] = ActionLog.next_episode(logs[i], self._envs[i])
            observations[i], _ = self._envs[i].reset()
        if over.any():
            observation = self._stack(observations)
            finite = _finite_rows(observation)

        # An environment that raises leaves everything as it was: nothing above has changed it.
        self._finite, self._logs = finite, logs
        for i in np.flatnonzero(~over):
            logs[i].actions.append(action[i])
        self._returns, self._lengths = np.where(over, 0, returns), np.where(over, 0, lengths)
        discount = 1 - np.asarray(terminated, np.float32)
        result = StepResult(reward, discount, next_observation, valid, observation, over)
        return self._by_seed((result, EpisodeEnd(done & valid, returns, lengths)))

    def snapshot(self) -> Snapshot:
        """What `restore` needs to bring other copies to where these are."""
        return Snapshot([log.copy() for log in self._logs], self._returns, self._lengths)

    def take_for(self, snapshot: Snapshot) -> None:
        """Counts these copies as where those of the snapshot were, until `restore` brings them."""
        self._logs = [log.copy() for log in snapshot.logs]
        self._returns, self._lengths = np.copy(snapshot.returns), np.copy(snapshot.lengths)

    def restore(self, snapshot: Snapshot, observation: PyTree) -> tuple[PyTree, list[int]]:
        """Brings these copies to where those of the snapshot were, mid-episode, bit for bit.

        Args:
          snapshot: of as many copies of the same environment.
          observation: what those have returned last, (S, E, ...).

        Returns:
          The observations (S, E, ...) from which these go on, and the copies that arrived elsewhere
          than those of the snapshot, because their environment does not depend on its seed and
          actions alone. Their episode is over: they start anew.
        """
        count = len(self._envs)
        expected = jax.tree.map(lambda x: x.reshape(count, 1, *x.shape[2:]), observation)
        logs = [log.copy() for log in snapshot.logs]
        returns, lengths = np.copy(snapshot.returns), np.copy(snapshot.lengths)
        observations, restarted = [], []
        for i, (env, log) in enumerate(zip(self._envs, snapshot.logs, strict=True)):
            actions = self.action_map(np.stack(log.actions)) if log.actions else ()
            arrived, episode_return, length = follow(env, log, actions)
            there = jax.tree.map(lambda rows, i=i: rows[i], expected)
            exact = (episode_return, length) == (returns[i], lengths[i])
            if not (exact and same_bits(self._stack([arrived]), there)):
                restarted.append(i)
                logs[i] = ActionLog.next_episode(log, env)
                arrived, _ = env.reset()
                returns[i], lengths[i] = 0, 0
            observations.append(arrived)
        observation = self._stack(observations)
        self._finite, self._logs = _finite_rows(observation), logs
        self._returns, self._lengths = returns, lengths
        return self._by_seed(observation), restarted

    def close(self) -> None:
        """Closes every copy, also after one that raises."""
        self._closing.close()

    def _step_each(
        self, actions: np.ndarray
    ) -> tuple[list[Any], np.ndarray, np.ndarray, np.ndarray]:
        """Observations as they were returned; rewards, terminations and truncations (N,).

        Infos are not looked at: no two of them need have anything in common.
        """
        observations, reward = [], np.zeros(len(self._envs))
        terminated, truncated = np.zeros((2, len(self._envs)), bool)
        for i, (env, action) in enumerate(zip(self._envs, actions, strict=True)):
            observation, reward[i], terminated[i], truncated[i], _ = env.step(action)
            observations.append(observation)
        return observations, reward.astype(np.float32), terminated, truncated

    def _stack(self, observations: Sequence[Any]) -> PyTree:
        """One observation of each environment as a batch (N, ...), in the dtypes of the example.

        It is a copy: an environment may write its next observation into the same array.
        """
        rows = concatenate(
            self._space, observations, create_empty_array(self._space, len(observations))
        )
        return jax.tree.map(
            lambda struct, x: x.astype(struct.dtype, copy=False), self.observation_example, rows
        )

    def _by_seed(self, tree: Any) -> Any:
        lead = (self.num_seeds, self.num_envs)
        return jax.tree.map(lambda rows: rows.reshape(*lead, *rows.shape[1:]), tree)


def _finite_rows(tree: PyTree) -> np.ndarray:
    """bool (N,): rows of a batched pytree without a NaN or an infinity."""
    # Whole numbers are finite too, and NumPy knows.
    each = [np.isfinite(x).reshape(len(x), -1).all(axis=1) for x in jax.tree.leaves(tree)]
    return each[0] if len(each) == 1 else np.logical_and.reduce(each)
