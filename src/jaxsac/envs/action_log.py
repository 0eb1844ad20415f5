"""How an environment came to where it is, and how to bring a fresh copy there.

The state of a simulator cannot be saved in general: MuJoCo's pickles as a fresh one, and its own
get and set of states lose what some observations read. What can be saved is where the episode
started, as the state of the environment's random generator, and the actions since.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import gymnasium
import numpy as np


@dataclasses.dataclass
class ActionLog:
    """The current episode of one environment."""

    seed: int
    """What the environment was first reset with."""
    generator: dict[str, Any] | None = None
    """State of `np_random` just before the episode's reset, JSON values; None in the first
    episode, which starts from `seed`."""
    actions: list[np.ndarray] = dataclasses.field(default_factory=list)
    """Each (A,), in [-1, 1]."""

    def copy(self) -> ActionLog:
        """A log that does not grow with this one."""
        return dataclasses.replace(self, actions=list(self.actions))


def generator_state(env: gymnasium.Env) -> dict[str, Any] | None:
    """State of an environment's `np_random`, JSON values.

    That is a `Generator`; or NumPy's older `RandomState`, which environments of dm_control have.
    """
    generator = env.unwrapped.np_random
    if isinstance(generator, np.random.RandomState):
        return _as_json(generator.get_state(legacy=False))
    generator = getattr(generator, "bit_generator", None)
    # Another kind of generator cannot be brought back, and `follow` then ends elsewhere.
    return _as_json(generator.state) if generator is not None else None


def _set_generator_state(env: gymnasium.Env, state: dict[str, Any]) -> None:
    """Brings `np_random` to where `generator_state` was."""
    generator: Any = env.unwrapped.np_random
    if isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        generator.bit_generator.state = state


def follow(
    env: gymnasium.Env, log: ActionLog, actions: Iterable[np.ndarray]
) -> tuple[Any, float, int]:
    """Brings a fresh environment to the end of a log.

    Args:
      env: a copy of the environment that the log is of.
      log: where to start.
      actions: those of the log, in the environment's own units.

    Returns:
      The observation there, and the return and length of the episode so far. The length is shorter
      than the log where the episode ended before it, as it may if the environment does not depend
      on its seed and actions alone.
    """
    observation, _ = env.reset(seed=log.seed)
    if log.generator is not None:
        _set_generator_state(env, log.generator)
        observation, _ = env.reset()
    total, length, ended = 0.0, 0, False
    for action in actions:
        if ended:  # not the episode of the log, and a step past its end may be refused
            break
        observation, reward, terminated, truncated, _ = env.step(action)
        with np.errstate(all="ignore"):  # a simulator may have set another
            total += float(np.float32(reward))
        length += 1
        ended = terminated or truncated
    return observation, total, length


def _as_json(state: Any) -> Any:
    if isinstance(state, dict):
        return {name: _as_json(value) for name, value in state.items()}
    if isinstance(state, np.ndarray | np.generic):
        return state.tolist()
    return state
