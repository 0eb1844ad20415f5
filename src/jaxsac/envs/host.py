"""Gymnasium environments on the host: seeds × environments as one batch of true transitions.

The driver owns their resets, so a step's observation is always the true one. Where the copies live,
in this process or in others, changes nothing in what they return.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import gymnasium
import jax
import numpy as np

from jaxsac.envs import spaces
from jaxsac.envs.action_log import ActionLog
from jaxsac.envs.copies.group import Group
from jaxsac.envs.copies.in_turn import InTurn
from jaxsac.envs.step_result import EpisodeEnd, StepResult
from jaxsac.types import PyTree, same_bits

T = TypeVar("T")


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
    """S seeds × E environments, stepped as one batch."""

    def __init__(self, envs: Sequence[gymnasium.Env] | Group, num_seeds: int) -> None:
        """Takes over S·E copies of an environment; copy s·E + e belongs to seed s.

        Args:
          envs: the copies, which are stepped in turn; or a group of them, in other processes or
            a pool, say.
          num_seeds: S.

        Raises:
          ValueError: spaces that cannot be learned on or are not the same in all copies, or a
            number of copies that `num_seeds` does not divide.
        """
        if num_seeds < 1 or len(envs) % num_seeds:
            raise ValueError(f"{len(envs)} environments do not divide over {num_seeds} seeds.")
        self._group: Group = InTurn(envs) if isinstance(envs, Sequence) else envs
        self.action_map = spaces.action_map(self._group.action_space)
        self.observation_example = spaces.observation_example(self._group.observation_space)
        self.num_seeds, self.num_envs = num_seeds, len(envs) // num_seeds

    def ask_first(self, question: Callable[..., T], *arguments: Any) -> T:
        """What a function says of the first copy, in whose process it is called.

        Args:
          question: at the top level of a module.
          *arguments: that it takes after the copy, plain data.
        """
        return self._group.ask_first(question, *arguments)

    def reset(self, seeds: Sequence[int]) -> PyTree:
        """Starts all S·E episodes; `seeds` holds one number for each copy.

        Returns:
          The first observations, (S, E, ...).
        """
        observation, count = self._group.reset(seeds), len(self._group)
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
        action = np.asarray(action).reshape(len(self._group), self.action_map.size)
        finite_action = _finite_rows(action)
        action = np.where(finite_action[:, None], action, np.zeros_like(action))
        next_observation, reward, terminated, truncated = self._group.step(self.action_map(action))
        finite = _finite_rows(next_observation)
        valid = finite_action & np.isfinite(reward) & self._finite & finite
        done = terminated | truncated
        returns, lengths = self._returns + reward, self._lengths + 1

        over = done | ~valid
        observation, logs = next_observation, list(self._logs)
        if over.any():
            observation = self._restart(np.flatnonzero(over), next_observation, logs)
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
        count = len(self._group)
        expected = jax.tree.map(lambda x: x.reshape(count, *x.shape[2:]), observation)
        logs = [log.copy() for log in snapshot.logs]
        size = self.action_map.size
        actions = [self.action_map(np.reshape(log.actions, (-1, size))) for log in logs]
        observation, returns, lengths = self._group.follow(logs, actions)
        exact = (returns == snapshot.returns) & (lengths == snapshot.lengths)
        exact &= [same_bits(_row(observation, i), _row(expected, i)) for i in range(count)]
        elsewhere = np.flatnonzero(~exact)
        if elsewhere.size:
            observation = self._restart(elsewhere, observation, logs)
            returns[elsewhere], lengths[elsewhere] = 0, 0
        self._finite, self._logs = _finite_rows(observation), logs
        self._returns, self._lengths = returns, lengths
        return self._by_seed(observation), elsewhere.tolist()

    def close(self) -> None:
        """Closes every copy, also after one that raises."""
        self._group.close()

    def _restart(self, indices: np.ndarray, observation: PyTree, logs: list[ActionLog]) -> PyTree:
        """Starts the next episode of some copies, whose logs it replaces in `logs`.

        Returns:
          The observations (N, ...), in which theirs are the first of that episode.
        """
        first, generators = self._group.restart(indices.tolist())
        for i, generator in zip(indices, generators, strict=True):
            logs[i] = ActionLog(logs[i].seed, generator)
        observation = jax.tree.map(np.copy, observation)
        for rows, new in zip(*map(jax.tree.leaves, (observation, first)), strict=True):
            rows[indices] = new
        return observation

    def _by_seed(self, tree: Any) -> Any:
        lead = (self.num_seeds, self.num_envs)
        return jax.tree.map(lambda rows: rows.reshape(*lead, *rows.shape[1:]), tree)


def _row(tree: PyTree, index: int) -> PyTree:
    return jax.tree.map(lambda rows: rows[index], tree)


def _finite_rows(tree: PyTree) -> np.ndarray:
    """bool (N,): rows of a batched pytree without a NaN or an infinity."""
    # Whole numbers are finite too, and NumPy knows.
    each = [np.isfinite(x).reshape(len(x), -1).all(axis=1) for x in jax.tree.leaves(tree)]
    return each[0] if len(each) == 1 else np.logical_and.reduce(each)
