"""One environment, checked: what goes wrong in it is named, and does not last for ever."""

from __future__ import annotations

import contextlib
import decimal
import inspect
import itertools
import numbers
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import jax
import numpy as np

from jaxsac.envs.deadline import deadline
from jaxsac.envs.spaces import observation_example, rescaled
from jaxsac.types import PyTree

IN_ENVIRONMENT = "In the environment: "
"""Begins the note on an error that came out of an environment's own code."""
FIVE = "observation, reward, terminated, truncated, info"
"""What a step returns."""


def is_fault(error: BaseException) -> bool:
    """Whether an error came out of an environment's own code, so that its traceback is wanted."""
    return any(note.startswith(IN_ENVIRONMENT) for note in getattr(error, "__notes__", ()))


def close_and_tell(name: str, envs: Any) -> None:
    """Closes environments; one that raises then costs nothing that was done, and is named."""
    try:
        envs.close()
    except Exception as error:
        warnings.warn(f"{name} raises when it is closed: {error!r}.", stacklevel=2)


class MisfitError(ValueError):
    """What an environment returned is not what its spaces declare, or nothing to learn on."""


class CheckedEnv(gymnasium.Wrapper):
    """Says which environment has failed, and refuses what does not fit its space.

    Left alone, NumPy would repeat an observation that is too small until it fits, and cut the
    fractions off one that ought to be integers.
    """

    def __init__(self, env: gymnasium.Env, name: str, timeout: float = 0) -> None:
        """Checks all that `env` returns.

        Args:
          env: the environment.
          name: what to call it in an error.
          timeout: seconds that a reset, a step or closing it may take; 0 for no limit.

        Raises:
          ValueError: a space is missing, or the one of observations cannot be learned on.
        """
        super().__init__(env)
        for space in ("observation_space", "action_space"):
            if not hasattr(env, space):
                raise ValueError(f"{name} has no {space}: set it where the environment is made.")
        _take_options(env)
        self._name, self.timeout = name, timeout
        self._example = observation_example(env.observation_space)
        self._leaves, self._structure = jax.tree.flatten(self._example)
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """As the environment's own.

        Raises:
          TimeoutError: it took too long.
          MisfitError: no pair, or an observation that does not fit the space.
        """
        self._steps = 0
        with at(f"a reset of {self._name}", self.timeout):
            observation, info = begun_with(self.env.reset(seed=seed, options=options))
            return self._checked(observation), info

    def step(self, action: Any) -> Any:
        """As the environment's own.

        Raises:
          TimeoutError: it took too long.
          MisfitError: a dict, an observation that does not fit the space, a reward that is no
            number, or a flag that is neither true nor false.
        """
        self._steps += 1
        with at(f"step {self._steps} of an episode of {self._name}", self.timeout):
            observation, reward, terminated, truncated, info = stepped_with(self.env.step(action))
            observation, reward = self._checked(observation), _number(reward)
            terminated, truncated = flag("terminated", terminated), flag("truncated", truncated)
            return observation, reward, terminated, truncated, info

    def close(self) -> None:
        """As the environment's own; a `TimeoutError` where it takes too long."""
        with at(f"closing {self._name}", self.timeout):
            self.env.close()

    def _checked(self, observation: PyTree) -> PyTree:
        observation = _plain(observation, self._example)
        if jax.tree.structure(observation) != self._structure:
            raise MisfitError(
                f"an observation is {_shown(observation)}, but the environment's "
                f"observation_space says {_shown(self._example)}."
            )
        for leaf, expected in zip(jax.tree.leaves(observation), self._leaves, strict=True):
            if np.shape(leaf) != expected.shape:
                raise MisfitError(
                    f"an observation has the shape {np.shape(leaf)}, but the environment's "
                    f"observation_space says {expected.shape}."
                )
            dtype = np.asarray(leaf).dtype
            if not np.can_cast(dtype, expected.dtype, "same_kind"):
                raise MisfitError(
                    f"an observation has the dtype {dtype}, but the environment's "
                    f"observation_space says {expected.dtype}."
                )
            if dtype.kind in "iu" and expected.dtype.kind in "iu" and dtype != expected.dtype:
                self._check_range(np.asarray(leaf), expected.dtype)
        return observation

    def _check_range(self, leaf: np.ndarray, dtype: np.dtype) -> None:
        """Refuses whole numbers that would become others."""
        allowed = np.iinfo(dtype)
        outside = leaf[(leaf < allowed.min) | (leaf > allowed.max)]
        if outside.size:
            raise MisfitError(
                f"an observation has the number {outside.flat[0]}, which does not fit {dtype}, in "
                f"which it is learned on: {rescaled(self.env.observation_space)}."
            )


@contextlib.contextmanager
def at(where: str, timeout: float) -> Iterator[None]:
    """Says where an error has come from, and takes no order to end the program.

    Raises:
      TimeoutError: `timeout` seconds are over; 0 for no limit.
    """
    try:
        with deadline(timeout, where):
            yield
    except (SystemExit, StopIteration) as error:
        raised = RuntimeError(f"{error!r}")
        raised.add_note(f"{IN_ENVIRONMENT}{where}.")
        # Caused by a StopIteration, contextlib would raise that again.
        raise raised.with_traceback(error.__traceback__) from None
    except Exception as error:
        error.add_note(f"{IN_ENVIRONMENT}{where}.")
        raise


def _take_options(env: gymnasium.Env) -> None:
    """Lets an environment do without `options` in its `reset`, which wrappers pass on to it."""
    while True:
        reset: Any = env.reset
        parameters = inspect.signature(reset).parameters
        if "seed" in parameters and "options" not in parameters:
            takes_more = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
            if not takes_more:
                env.reset = lambda *, seed=None, options=None, reset=reset: reset(seed=seed)
        if not isinstance(env, gymnasium.Wrapper):
            return
        env = env.env


def _plain(observation: PyTree, example: PyTree) -> PyTree:
    """With dicts, tuples and arrays for any mapping and sequence, as the example has them."""
    if isinstance(observation, Mapping):
        parts = example if isinstance(example, dict) else {}
        return {name: _plain(part, parts.get(name)) for name, part in observation.items()}
    if not isinstance(observation, tuple | list):
        return observation
    if isinstance(example, jax.ShapeDtypeStruct):
        try:
            return np.asarray(observation)
        except ValueError as error:
            raise MisfitError(f"an observation is {observation!r}, which is no array.") from error
    fits = isinstance(example, tuple) and len(example) == len(observation)
    parts = example if fits else [None] * len(observation)
    return tuple(itertools.starmap(_plain, zip(observation, parts, strict=True)))


def begun_with(result: Any) -> Any:
    """What a reset returned, once it is a pair: an array or a dict of two would unpack as well.

    Raises:
      MisfitError: it is anything else, such as the observation alone.
    """
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise MisfitError(f"reset returns {counted(result)}, expected observation, info.")
    return result


def stepped_with(result: Any) -> Any:
    """What a step returned, unless it is a dict, whose keys would unpack as well.

    Raises:
      MisfitError: it is one.
    """
    if isinstance(result, Mapping):
        raise MisfitError(f"step returns {counted(result)}, expected {FIVE}.")
    return result


def counted(result: Any) -> str:
    """How many values were returned, for a person."""
    many = isinstance(result, tuple | list)
    return f"{len(result)} values" if many else f"one {type(result).__name__}"


def _shown(observation: PyTree) -> str:
    """The structure of an observation, for a person."""
    if isinstance(observation, dict):
        return "{" + ", ".join(f"{name!r}: {_shown(x)}" for name, x in observation.items()) + "}"
    if isinstance(observation, tuple):
        return "(" + ", ".join(map(_shown, observation)) + ")"
    return "None" if observation is None else f"an array of shape {np.shape(observation)}"


def _number(reward: Any) -> Any:
    """A reward as one number, also where it comes in an array of one.

    Raises:
      MisfitError: it is no number, such as None or text, or several.
    """
    if isinstance(reward, float):
        return reward
    array = np.asarray(reward)
    if array.size == 1:
        if array.dtype.kind in "fiub":
            return array.reshape(())[()]
        # What NumPy does not know, such as bfloat16, a Fraction, or an int of more than 64 bits.
        value = array.item()
        if isinstance(value, numbers.Real | decimal.Decimal):
            return float(value)
    raise MisfitError(f"a reward is {reward!r}, expected one number.")


def flag(name: str, value: Any) -> bool:
    """Whether an episode has ended, also where None, 0 or 1 says so, or an array of one.

    Raises:
      MisfitError: it is something else, such as the text "False", which Python takes for true.
    """
    if value is None or isinstance(value, bool | np.bool_):
        return bool(value)
    array = np.asarray(value)
    if array.dtype.kind not in "fiub" or array.size != 1 or array.item() not in (0, 1):
        raise MisfitError(f"{name} is {value!r}, expected True or False.")
    return bool(array.item())
