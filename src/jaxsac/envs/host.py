"""Gymnasium environments on the host: seeds × environments as one batch of true transitions.

The driver owns the resets. Environments made by `make` do not reset themselves, so a step's
observation is always the true one. A vector environment of the user's own works by the autoreset
mode that it declares in `metadata["autoreset_mode"]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium
import jax
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from jaxsac.envs import spaces
from jaxsac.envs.arrival import Arrival
from jaxsac.envs.trail import Trail, follow
from jaxsac.types import PyTree, Transition


class Episode(NamedTuple):
    """A finished training episode."""

    seed_index: int
    env_index: int
    episode_return: float
    """Undiscounted sum of the environment's rewards."""
    length: int
    """Steps."""


class Snapshot(NamedTuple):
    """Everything that brings fresh environments to where others are; N = S·E copies."""

    trails: list[Trail]
    arrays: dict[str, PyTree]
    """What the driver itself remembers, each (N, ...)."""


def environment_seeds(seed: int, stream: Sequence[int], count: int) -> list[int]:
    """Seeds for `count` environments that depend on the member's own seed and a stream alone."""
    sequence = np.random.SeedSequence([seed, *stream])
    return [int(word) for word in sequence.generate_state(count)]


class HostEnvs:
    """S seeds × E environments, stepped as one Gymnasium vector environment."""

    def __init__(self, envs: VectorEnv, num_seeds: int) -> None:
        """Takes over a vector environment of S·E copies; copy s·E + e belongs to seed s.

        Raises:
          ValueError: spaces that cannot be learned on, an undeclared autoreset mode, or a number
            of copies that `num_seeds` does not divide.
        """
        mode = (envs.metadata or {}).get("autoreset_mode")
        if not isinstance(mode, AutoresetMode):
            raise ValueError(
                f"{envs} declares the autoreset mode {mode!r}: which observation a finished step "
                "returns would be a guess. Set metadata['autoreset_mode'] to a member of "
                "gymnasium.vector.AutoresetMode."
            )
        if num_seeds < 1 or envs.num_envs % num_seeds:
            raise ValueError(f"{envs.num_envs} environments do not divide over {num_seeds} seeds.")
        self.action_map = spaces.action_map(envs.single_action_space)
        self.observation_example = spaces.observation_example(envs.single_observation_space)
        self._envs = envs
        self._mode = mode
        self._copies: list[gymnasium.Env] = []
        if isinstance(envs, SyncVectorEnv) and mode is AutoresetMode.DISABLED:
            # Only copies that this process steps and resets itself can be brought back.
            self._copies = list(envs.envs)
        self.num_seeds, self.num_envs = num_seeds, envs.num_envs // num_seeds
        self.discarded = np.zeros(num_seeds, np.int64)
        """Steps kept out of replay because of a non-finite number, by seed."""

    def reset(self, seeds: Sequence[int]) -> Arrival:
        """Starts all S·E episodes; `seeds` holds one number for each copy.

        Returns:
          An arrival without valid transitions, to ask for the first action with.
        """
        count = self._envs.num_envs
        observation, _ = self._envs.reset(seed=list(seeds))  # pyright: ignore[reportArgumentType]
        self._observation = self._cast(observation)
        self._finite = _finite_rows(self._observation)
        self._resetting = np.zeros(count, bool)
        self._cut = np.zeros(count, bool)
        self._returns, self._lengths = np.zeros(count), np.zeros(count, np.int64)
        self._trails = [Trail(seed) for seed in seeds] if self._copies else []
        zeros = np.zeros(count, np.float32)
        action = np.zeros((count, self.action_map.size), np.float32)
        transition = Transition(self._observation, action, zeros, zeros, self._observation)
        return self._by_seed(Arrival(transition, np.zeros(count, bool), self._observation))

    def step(self, action: np.ndarray) -> tuple[Arrival, list[Episode]]:
        """Steps every environment.

        Args:
          action: (S, E, A) in [-1, 1]. A row that is not finite is replaced by zeros, and its
            step discarded.

        Returns:
          The arrival, and the episodes that ended in it.
        """
        count = self._envs.num_envs
        action = np.asarray(action).reshape(count, self.action_map.size)
        finite_action = _finite_rows(action)
        action = np.where(finite_action[:, None], action, np.zeros_like(action))
        raw, reward, terminated, truncated, infos = self._envs.step(self.action_map(action))
        done = np.logical_or(terminated, truncated)
        arrived = self._cast(raw)
        next_observation = self._true_next_observation(arrived, done, infos)

        reward = np.asarray(reward, np.float32)
        finite_next = _finite_rows(next_observation)
        finite = finite_action & np.isfinite(reward) & self._finite & finite_next
        # In NEXT_STEP mode the step after a finished one is the reset: no transition.
        stepped = ~self._resetting
        cut = (self._cut | ~finite) & stepped
        valid, ended = stepped & ~cut, done | cut
        transition = Transition(
            self._observation,
            action,
            reward,
            1 - np.asarray(terminated, np.float32),
            next_observation,
        )
        returns = self._returns + np.where(stepped, reward, 0)
        lengths = self._lengths + stepped
        episodes = [
            Episode(*divmod(int(i), self.num_envs), float(returns[i]), int(lengths[i]))
            for i in np.flatnonzero(done & ~cut)
        ]
        trails = self._next_trails(ended)
        observation = self._start_next_episodes(arrived, ended)

        # An environment that raises leaves everything as it was: nothing above has changed it.
        self._observation, self._trails = observation, trails
        self._finite = _finite_rows(observation) if ended.any() else finite_next
        for trail, row, over in zip(trails, action, ended, strict=False):
            if not over:
                trail.actions.append(row)
        self._returns, self._lengths = np.where(ended, 0, returns), np.where(ended, 0, lengths)
        self.discarded = self.discarded + (stepped & cut).reshape(self.num_seeds, -1).sum(axis=1)
        if self._mode is AutoresetMode.DISABLED:
            self._cut = np.zeros(count, bool)
        else:
            # A cut episode of an environment that resets itself is left out to its end.
            self._cut = cut & ~done
            self._resetting = done & (self._mode is AutoresetMode.NEXT_STEP)
        return self._by_seed(Arrival(transition, valid, observation)), episodes

    def snapshot(self) -> Snapshot:
        """What `restore` needs to bring other copies to where these are.

        Raises:
          TypeError: a vector environment that steps its copies elsewhere or resets them itself.
        """
        if not self._copies:
            raise TypeError(
                f"{self._envs} cannot be saved: only a gymnasium.vector.SyncVectorEnv without "
                "autoreset can, as `make` gives."
            )
        arrays = {
            "observation": self._observation,
            "returns": self._returns,
            "lengths": self._lengths,
        }
        return Snapshot([trail.copy() for trail in self._trails], arrays)

    def snapshot_arrays(self) -> dict[str, PyTree]:
        """Structs of a snapshot's arrays, known before any step."""
        count = self._envs.num_envs
        observation = jax.tree.map(
            lambda struct: jax.ShapeDtypeStruct((count, *struct.shape), struct.dtype),
            self.observation_example,
        )
        return {
            "observation": observation,
            "returns": jax.ShapeDtypeStruct((count,), np.float64),
            "lengths": jax.ShapeDtypeStruct((count,), np.int64),
        }

    def restore(self, snapshot: Snapshot, discarded: np.ndarray) -> list[int]:
        """Brings these copies to where those of the snapshot were, mid-episode, bit for bit.

        Args:
          snapshot: of as many copies of the same environment.
          discarded: steps left out so far, by seed.

        Returns:
          The copies that arrived elsewhere than those of the snapshot, because their environment
          does not depend on its seed and actions alone. Their episode is over: they start anew.
        """
        restarted = []
        observation, returns, lengths = (
            jax.tree.map(np.copy, snapshot.arrays[name])
            for name in ("observation", "returns", "lengths")
        )
        trails = [trail.copy() for trail in snapshot.trails]
        for i, (env, trail) in enumerate(zip(self._copies, snapshot.trails, strict=True)):
            actions = self.action_map(np.stack(trail.actions)) if trail.actions else ()
            arrived, episode_return, length = follow(env, trail, actions)
            exact = (episode_return, length) == (returns[i], lengths[i])
            if exact and _same_bits(self._cast(arrived), _row(observation, i)):
                continue
            restarted.append(i)
            trails[i] = Trail.next_episode(trail, env)
            start, _ = env.reset()
            for rows, row in zip(
                *map(jax.tree.leaves, (observation, self._cast(start))), strict=True
            ):
                rows[i] = row
            returns[i], lengths[i] = 0, 0
        self._observation, self._returns, self._lengths = observation, returns, lengths
        self._finite = _finite_rows(observation)
        self._resetting, self._cut = np.zeros(len(trails), bool), np.zeros(len(trails), bool)
        self._trails, self.discarded = trails, discarded
        return restarted

    def close(self) -> None:
        """Closes the vector environment."""
        self._envs.close()

    def _true_next_observation(self, arrived: PyTree, done: np.ndarray, infos: Any) -> PyTree:
        if self._mode is not AutoresetMode.SAME_STEP or not done.any():
            return arrived
        finals = [infos["final_obs"][i] for i in np.flatnonzero(done)]
        final = self._cast(jax.tree.map(lambda *rows: np.stack(rows), *finals))

        def replace(rows: np.ndarray, final_rows: np.ndarray) -> np.ndarray:
            rows = rows.copy()
            rows[done] = final_rows
            return rows

        return jax.tree.map(replace, arrived, final)

    def _next_trails(self, ended: np.ndarray) -> list[Trail]:
        """The trails after the resets to come; the others are those that are."""
        return [
            Trail.next_episode(trail, env) if over else trail
            for trail, env, over in zip(self._trails, self._copies, ended, strict=False)
        ]

    def _start_next_episodes(self, arrived: PyTree, ended: np.ndarray) -> PyTree:
        if self._mode is AutoresetMode.DISABLED and ended.any():
            observation, _ = self._envs.reset(options={"reset_mask": ended})
            arrived = self._cast(observation)
        return arrived

    def _cast(self, observation: PyTree) -> PyTree:
        return jax.tree.map(
            # A copy: a vector environment may write its next observation into the same array.
            lambda struct, rows: np.array(rows, struct.dtype),
            self.observation_example,
            observation,
        )

    def _by_seed(self, tree: Any) -> Any:
        lead = (self.num_seeds, self.num_envs)
        return jax.tree.map(lambda rows: rows.reshape(*lead, *rows.shape[1:]), tree)


def _row(tree: PyTree, i: int) -> PyTree:
    return jax.tree.map(lambda rows: rows[i], tree)


def _same_bits(a: PyTree, b: PyTree) -> bool:
    """Whether two pytrees of arrays are equal, NaN to NaN included."""
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(x.tobytes() == y.tobytes() for x, y in leaves)


def _finite_rows(tree: PyTree) -> np.ndarray:
    """bool (N,): rows of a batched pytree without a NaN or an infinity."""
    # Whole numbers are finite too, and NumPy knows.
    each = [np.isfinite(x).reshape(len(x), -1).all(axis=1) for x in jax.tree.leaves(tree)]
    return each[0] if len(each) == 1 else np.logical_and.reduce(each)
