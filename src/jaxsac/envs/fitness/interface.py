"""Where an environment departs from Gymnasium's interface."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

from jaxsac.envs.checked import FIVE, MisfitError, begun_with, counted, flag
from jaxsac.envs.walk import SEED


class Departure(NamedTuple):
    """What is not as Gymnasium has it."""

    text: str
    """A sentence."""
    taken: bool
    """Whether jaxsac can do with it."""


def departures(env: gymnasium.Env, action: np.ndarray) -> Iterator[Departure]:
    """Resets an environment, takes one step, and looks at all that it returns.

    Args:
      env: not wrapped by jaxsac.
      action: to take, in its own units.

    Yields:
      Each; after one that jaxsac cannot do with, no more.
    """
    parameters = inspect.signature(type(env).reset).parameters
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    if "seed" not in parameters and not takes_any:
        text = "reset takes no seed: it is reset(self, *, seed=None, options=None)."
        yield Departure(text, taken=False)
        return
    if "options" not in parameters and not takes_any:
        yield Departure("reset takes no options, which jaxsac does without.", taken=True)
    begun = env.reset(seed=SEED)
    try:
        observation, info = begun_with(begun)
    except MisfitError as error:
        yield Departure(str(error), taken=False)
        return
    if isinstance(env.observation_space, spaces.Box) and not hasattr(observation, "shape"):
        text = f"an observation is a {type(observation).__name__}, expected an array."
        yield Departure(text, taken=True)
    yield from _of_info("reset", info)
    result: Any = env.step(action)
    if not isinstance(result, tuple | list) or len(result) != 5:
        yield Departure(f"step returns {counted(result)}, expected {FIVE}.", taken=False)
        return
    _, reward, terminated, truncated, info = result
    for name, value in (("terminated", terminated), ("truncated", truncated)):
        if not isinstance(value, bool | np.bool_):
            text = f"{name} is {value!r}, expected True or False."
            yield Departure(text, _is_taken(name, value))
    if np.ndim(reward):
        text = f"the reward is {reward!r}, expected a number; an array of one is taken."
        yield Departure(text, taken=True)
    yield from _of_info("step", info)


def _is_taken(name: str, value: Any) -> bool:
    """Whether jaxsac can do with a flag."""
    with contextlib.suppress(MisfitError):
        flag(name, value)
        return True
    return False


def _of_info(name: str, info: Any) -> Iterator[Departure]:
    if not isinstance(info, dict):
        text = f"the info of {name} is {info!r}, expected a dict; jaxsac does without."
        yield Departure(text, taken=True)
