"""Where an environment departs from Gymnasium's interface."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from jaxsac.envs.checked import MisfitError, begun_with, counted, flag
from jaxsac.envs.walk import SEED

FLAGS = "observation, reward, terminated, truncated, info"


def departures(env: gymnasium.Env, action: np.ndarray) -> Iterator[tuple[bool, str]]:
    """Resets an environment, takes one step, and looks at all that it returns.

    Args:
      env: not wrapped by jaxsac.
      action: to take, in its own units.

    Yields:
      Whether jaxsac can do with a departure, and a sentence on it; where it cannot, no more.
    """
    parameters = inspect.signature(type(env).reset).parameters
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    if "seed" not in parameters and not takes_any:
        yield False, "reset takes no seed: it is reset(self, *, seed=None, options=None)."
        return
    if "options" not in parameters and not takes_any:
        yield True, "reset takes no options, which jaxsac does without."
    begun = env.reset(seed=SEED)
    try:
        observation, info = begun_with(begun)
    except MisfitError as error:
        yield False, str(error)
        return
    if isinstance(env.observation_space, spaces.Box) and not hasattr(observation, "shape"):
        yield True, f"an observation is a {type(observation).__name__}, expected an array."
    yield from _of_info("reset", info)
    result: Any = env.step(action)
    if not isinstance(result, tuple | list) or len(result) != 5:
        yield False, f"step returns {counted(result)}, expected {FLAGS}."
        return
    _, reward, terminated, truncated, info = result
    for name, value in (("terminated", terminated), ("truncated", truncated)):
        if not isinstance(value, bool | np.bool_):
            yield _is_taken(name, value), f"{name} is {value!r}, expected True or False."
    if np.ndim(reward):
        yield True, f"the reward is {reward!r}, expected a number; an array of one is taken."
    yield from _of_info("step", info)


def _is_taken(name: str, value: Any) -> bool:
    """Whether jaxsac can do with a flag."""
    with contextlib.suppress(MisfitError):
        flag(name, value)
        return True
    return False


def _of_info(name: str, info: Any) -> Iterator[tuple[bool, str]]:
    if not isinstance(info, dict):
        yield True, f"the info of {name} is {info!r}, expected a dict; jaxsac does without."
