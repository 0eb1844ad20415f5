"""The last K observations as one, which is what an agent sees with `frame_stack` K.

They are joined along the last axis of each array, the oldest first: images (H, W, C) become
(H, W, K·C), and vectors (D,) become (K·D,). The first observation of an episode is repeated.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsac.types import PyTree, is_whole


class FrameStack:
    """The stack of one environment, or of many side by side, for a loop of your own.

    Example:
      stack = jaxsac.FrameStack(policy.frame_stack)
      action = policy(stack.reset(observation))   # the first of an episode
      action = policy(stack.step(observation))    # each that follows

    Of many environments side by side, `step(observation, first)` begins anew those whose
    observation is the first of an episode.
    """

    def __init__(self, size: int) -> None:
        """K, the observations that an agent sees at once; 1 leaves them as they are.

        Raises:
          ValueError: fewer than 1.
        """
        if not is_whole(size) or size < 1:
            raise ValueError(f"a stack needs at least 1 observation, got {size!r}.")
        self._size, self._stack = size, None

    def reset(self, observation: PyTree) -> PyTree:
        """The stack at the start of an episode.

        Args:
          observation: as the environment returns it, with any leading axes.

        Returns:
          NumPy arrays, whose last axes are K times as long.

        Raises:
          ValueError: a part of it is a single number and has no axis to be stacked along.
        """
        first = _arrays(observation)
        structs(jax.eval_shape(lambda: first), self._size)
        self._stack = begin(first, self._size, np)
        return _copy(self._stack)

    def step(self, observation: PyTree, first: Any = False) -> PyTree:
        """The stack after a step.

        Args:
          observation: where the next action is to be taken, (..., *event).
          first: bool (...): whether it is the first of an episode; one bool for all.

        Returns:
          NumPy arrays, as `reset`.

        Raises:
          RuntimeError: no episode has begun.
          ValueError: an observation of another structure or shape than that of `reset`.
        """
        if self._stack is None:
            raise RuntimeError("a stack begins with `reset(observation)` of an episode's first.")
        now = _arrays(observation)
        if jax.tree.structure(now) != jax.tree.structure(self._stack):
            raise ValueError(
                f"an observation has the structure {jax.tree.structure(now)}, expected that of "
                f"`reset`, {jax.tree.structure(self._stack)}."
            )
        jax.tree.map(self._check, self._stack, now)
        self._stack = follow(self._stack, now, np.asarray(first), np)
        return _copy(self._stack)

    def _check(self, stack: np.ndarray, now: np.ndarray) -> None:
        expected = (*stack.shape[:-1], stack.shape[-1] // self._size)
        if now.shape != expected:
            raise ValueError(f"an observation has shape {now.shape}, expected {expected}.")


def _copy(stack: PyTree) -> PyTree:
    """For whoever asks: what is changed there, in place, stays out of the next stack."""
    return jax.tree.map(np.copy, stack)


def _arrays(observation: PyTree) -> PyTree:
    """Dicts and tuples of NumPy arrays; a list is one."""
    return jax.tree.map(np.asarray, observation, is_leaf=lambda x: isinstance(x, list))


def structs(observation: PyTree, size: int) -> PyTree:
    """Structs of a stack.

    Args:
      observation: structs of one observation.
      size: K.

    Raises:
      ValueError: a part of it is a single number and has no axis to be stacked along.
    """
    if size == 1:
        return observation

    def stacked(path: Any, struct: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        if not struct.shape:
            name = f"observation{jax.tree_util.keystr(path)}"
            raise ValueError(
                f"{name} is a single number, and frame_stack {size} joins arrays along their last "
                "axis: give it the shape (1,), in a --wrapper module:function, say."
            )
        return jax.ShapeDtypeStruct((*struct.shape[:-1], size * struct.shape[-1]), struct.dtype)

    return jax.tree.map_with_path(stacked, observation)


def begin(observation: PyTree, size: int, xp: Any = jnp) -> PyTree:
    """The stack at the start of an episode: the first observation, K times.

    Args:
      observation: with any leading axes.
      size: K.
      xp: `numpy` for what is on the host.
    """
    if size == 1:
        return observation
    return jax.tree.map(lambda x: xp.concatenate([x] * size, axis=-1), observation)


def push(stack: PyTree, observation: PyTree, xp: Any = jnp) -> PyTree:
    """The stack with an observation in place of the oldest; that alone where K is 1."""

    def join(old: Any, new: Any) -> Any:
        if old.shape == new.shape:
            return new
        return xp.concatenate([old[..., new.shape[-1] :], new], axis=-1)

    return jax.tree.map(join, stack, observation)


def follow(stack: PyTree, observation: PyTree, over: Any, xp: Any = jnp) -> PyTree:
    """The stack from which the next action is taken.

    Args:
      stack: before a step, (..., *event).
      observation: where that action is to be taken, the first of an episode after a reset.
      over: bool (...): it is the first of an episode.
      xp: `numpy` for what is on the host.
    """

    def choose(old: Any, new: Any, pushed: Any) -> Any:
        if old.shape == new.shape:
            return new
        begun = begin(new, old.shape[-1] // new.shape[-1], xp)
        return xp.where(_as_wide(over, new), begun, pushed)

    return jax.tree.map(choose, stack, observation, push(stack, observation, xp))


def restart(stack: PyTree, observation: PyTree, over: Any) -> PyTree:
    """The stack where episodes were given up, `over`, and others are left as they are."""

    def choose(old: Any, new: Any) -> Any:
        if old.shape == new.shape:
            return new
        return jnp.where(_as_wide(over, new), begin(new, old.shape[-1] // new.shape[-1]), old)

    return jax.tree.map(choose, stack, observation)


def newest(stack: PyTree, observation: PyTree) -> PyTree:
    """The latest observation of a stack.

    Args:
      stack: (..., *event).
      observation: structs of one observation.
    """
    return jax.tree.map(
        lambda x, struct: x[..., -struct.shape[-1] :] if struct.shape else x, stack, observation
    )


def _as_wide(over: Any, observation: Any) -> Any:
    """bool (...) with axes for those of an observation."""
    return over.reshape(*over.shape, *[1] * (observation.ndim - over.ndim))
