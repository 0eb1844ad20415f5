"""Copies of an environment led by one sequence of random actions, and what they returned."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import gymnasium
import jax
import numpy as np

from jaxsac.envs.action_log import ActionLog, generator_state
from jaxsac.envs.deadline import deadline
from jaxsac.envs.spaces import SpaceError, action_map
from jaxsac.types import PyTree

T = TypeVar("T")

SEED = 0
SLOW = 2.0
"""Seconds that a copy may take to be made, if there is to be a second one."""


class Arrival(NamedTuple):
    """What a reset or a step returned, apart from its info."""

    observation: PyTree
    reward: Any
    """0 of a reset."""
    terminated: bool
    truncated: bool


class Walk:
    """A copy that is led, and all that it returned."""

    def __init__(self, env: gymnasium.Env) -> None:
        """Resets `env` with a seed."""
        self.env, self.log = env, ActionLog(SEED)
        self.arrivals: list[Arrival] = []
        self.rewards: list[Any] = []
        """Of the steps."""
        self.lengths: list[int] = []
        """Of the episodes that have ended by themselves."""
        self._arrive(env.reset(seed=SEED)[0])

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.arrivals[-1].terminated or self.arrivals[-1].truncated

    def restart(self) -> None:
        """Starts the next episode, without a seed as in training."""
        self.log = ActionLog(self.log.seed, generator_state(self.env))
        self._arrive(self.env.reset()[0])

    def step(self, action: np.ndarray) -> None:
        """Takes an action, in the environment's own units."""
        observation, reward, terminated, truncated, _ = self.env.step(np.array(action))
        self.log.actions.append(action)
        self.rewards.append(reward)
        self._arrive(observation, reward, bool(terminated), bool(truncated))
        if self.over:
            self.lengths.append(len(self.log.actions))

    def _arrive(
        self,
        observation: PyTree,
        reward: Any = 0.0,
        terminated: bool = False,
        truncated: bool = False,
    ) -> None:
        # A copy: an environment may write its next observation into the same array.
        observation = jax.tree.map(np.array, observation)
        self.arrivals.append(Arrival(observation, reward, terminated, truncated))


def lead(
    envs: Sequence[gymnasium.Env],
    actions: np.ndarray,
    starts: Sequence[int] = (),
    seconds: float = np.inf,
) -> list[Walk]:
    """Leads copies side by side from the same seed by the same actions.

    Args:
      envs: the copies.
      actions: (T, ...), in the environment's own units.
      starts: steps before which an episode is started, beside those before which one has ended.
      seconds: after which no further step is begun.
    """
    end = time.monotonic() + seconds
    walks = [Walk(env) for env in envs]
    for number, action in enumerate(actions):
        if time.monotonic() > end:
            break
        for walk in walks:
            if walk.over or number in starts:
                walk.restart()
            walk.step(action)
    return walks


def random_actions(env: gymnasium.Env, count: int) -> np.ndarray:
    """Uniform actions (count, ...) in the environment's own units, always the same ones.

    Raises:
      SpaceError: an action space that cannot be learned on.
    """
    mapped = action_map(env.action_space)
    unit = np.random.default_rng(SEED).uniform(-1, 1, (count, mapped.size))
    return mapped(unit.astype(np.float32))


def actions_of_layer(layer: gymnasium.Env, env: gymnasium.Env, count: int) -> np.ndarray:
    """Random actions of one of an environment's layers: its own, or `env`'s if it is unbounded."""
    try:
        return random_actions(layer, count)
    except SpaceError:  # a wrapper has made it usable
        return random_actions(env, count)


def spare_copies(make: Callable[[], T], patience: float = 0) -> list[T]:
    """Two; one where that takes its time already; none where only those that train can live.

    Args:
      make: makes one.
      patience: seconds for both, as one may wait for those that train to go; 0 for no limit.
    """
    copies, start = [], time.monotonic()
    with contextlib.suppress(Exception), deadline(patience, "making a copy to look at"):
        copies.append(make())
        if time.monotonic() - start < SLOW:
            copies.append(make())
    return copies


def close_quietly(envs: Sequence[Any]) -> None:
    """Closes copies that were looked at; one that raises does so in training too, and is named."""
    for env in envs:
        with contextlib.suppress(Exception, SystemExit):
            env.close()


@contextlib.contextmanager
def global_generators() -> Iterator[Callable[[], list[str]]]:
    """Leaves Python's and NumPy's global generators as they were.

    Yields:
      A function that names those that have been drawn from, or seeded, meanwhile.
    """
    before = random.getstate()
    numpys_before = np.random.get_state(legacy=False)

    def used() -> list[str]:
        names = ["Python's `random`"] if random.getstate() != before else []
        if _key(np.random.get_state(legacy=False)) != _key(numpys_before):
            names.append("NumPy's `np.random`")
        return names

    try:
        yield used
    finally:
        random.setstate(before)
        np.random.set_state(numpys_before)


def _key(state: Any) -> Any:
    inner = state["state"]
    return inner["key"].tobytes(), inner["pos"], state["has_gauss"], state["gauss"]
