"""Which Gymnasium spaces can be learned on.

A space that cannot be used is refused at construction, in one sentence with the remedy.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from gymnasium import spaces

from jaxsac.envs.action_map import ActionMap
from jaxsac.types import PyTree

RESCALED = (
    "subtract an offset and rescale: `gymnasium.wrappers.TransformObservation(env, lambda "
    "observation: (observation - OFFSET) / SCALE, gymnasium.spaces.Box(-numpy.inf, numpy.inf, "
    "env.observation_space.shape, numpy.float64))`"
)
RESCALED_PART = (
    "subtract an offset and rescale that part, KEY: `gymnasium.wrappers.TransformObservation(env, "
    "lambda observation: {**observation, KEY: (observation[KEY] - OFFSET) / SCALE}, "
    "gymnasium.spaces.Dict({**env.observation_space.spaces, KEY: gymnasium.spaces.Box("
    "-numpy.inf, numpy.inf, env.observation_space[KEY].shape, numpy.float64)}))`"
)
RESCALED_IN_WORDS = (
    "subtract an offset and rescale that part, in the environment or a --wrapper module:function"
)


BOUNDED = (
    "`gymnasium.wrappers.TransformAction(env, lambda action: action, "
    "gymnasium.spaces.Box(-1, 1, env.action_space.shape))`"
)
"""What to do with actions without bounds."""


def rescaled(space: spaces.Space[Any]) -> str:
    """What to do with observations that do not survive the conversion to what is learned on."""
    if isinstance(space, spaces.Dict):
        return RESCALED_PART
    return RESCALED_IN_WORDS if isinstance(space, spaces.Tuple) else RESCALED


class SpaceError(ValueError):
    """A space that cannot be learned on."""


def action_map(space: spaces.Space[Any]) -> ActionMap:
    """The map from [-1, 1]^A to a bounded, floating `Box`.

    Raises:
      SpaceError: any other space, or a `Box` with an infinite, half-infinite or empty range.
    """
    if not isinstance(space, spaces.Box):
        raise SpaceError(
            f"action space {space} is not a Box: jaxsac learns continuous actions only; use an "
            "algorithm for discrete actions, or an environment (or wrapper) with one Box."
        )
    if not np.issubdtype(space.dtype, np.floating):
        raise SpaceError(
            f"action space {space} has dtype {space.dtype}, not a floating type: wrap the "
            "environment so that it takes real numbers."
        )
    if space.low.size < 1:
        raise SpaceError(f"action space {space} has no dimension, so there is nothing to learn.")
    low, high = space.low.astype(np.float64).ravel(), space.high.astype(np.float64).ravel()
    # The largest number of a dtype is meant as no bound either.
    largest = float(np.finfo(space.dtype).max)
    unbounded = np.flatnonzero(~((np.abs(low) < largest) & (np.abs(high) < largest)))
    if unbounded.size:
        raise SpaceError(
            f"action space {space} is unbounded in dimension(s) {unbounded.tolist()}: the policy "
            "lives in a box, so give finite bounds, in a --wrapper module:function or where the "
            f"environment is made, with {BOUNDED}, say."
        )
    empty = np.flatnonzero(low >= high)
    if empty.size:
        raise SpaceError(
            f"action space {space} has an empty range (low >= high) in dimension(s) "
            f"{empty.tolist()}: remove those dimensions or widen their bounds."
        )
    return ActionMap(low, high, space.shape, space.dtype)


def observation_example(space: spaces.Space[Any]) -> PyTree:
    """The pytree of `jax.ShapeDtypeStruct`s of one observation, as it is stored and learned on.

    `Dict` and `Tuple` spaces become dicts and tuples; 64-bit numbers become 32-bit ones unless
    JAX has 64 bits enabled; every other dtype is kept, in this machine's order of bytes.

    Raises:
      SpaceError: a space other than `Box`, `MultiBinary`, `Dict` or `Tuple`, one without a single
        number, a dtype that JAX does not have, or bounds of integers beyond the one that it has.
    """
    example = _example(space, rescaled(space))
    if not any(leaf.size for leaf in jax.tree.leaves(example)):
        raise SpaceError(
            f"observation space {space} is empty: there is nothing to observe. If one state is all "
            "there is, observe a constant: "
            "`gymnasium.wrappers.TransformObservation(env, lambda observation: numpy.zeros(1), "
            "gymnasium.spaces.Box(0, 1, (1,), numpy.float64))`."
        )
    return example


def _example(space: spaces.Space[Any], remedy_of_range: str) -> PyTree:
    if isinstance(space, spaces.Dict):
        parts = space.spaces.items()
        if len({type(name) for name in space.spaces}) > 1:
            raise SpaceError(
                f"observation space {space} has keys of several kinds, which have no order: give "
                "each a text."
            )
        return {name: _example(part, remedy_of_range) for name, part in parts}
    if isinstance(space, spaces.Tuple):
        return tuple(_example(part, remedy_of_range) for part in space.spaces)
    if not isinstance(space, spaces.Box | spaces.MultiBinary):
        remedy = "--wrapper gymnasium.wrappers:FlattenObservation makes one Box of it"
        if not getattr(space, "is_np_flattenable", False):
            remedy = "give it a --wrapper module:function that returns arrays of one shape"
        raise SpaceError(
            f"observation space {space} is not a Box, MultiBinary, Dict or Tuple: {remedy}."
        )
    dtype = np.dtype(space.dtype)
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise SpaceError(f"observation space {space} has dtype {space.dtype}, which JAX lacks.")
    learned_on = jax.dtypes.canonicalize_dtype(dtype.newbyteorder("="))
    if isinstance(space, spaces.Box) and dtype.kind in "iu" and learned_on != dtype:
        _check_range(space, learned_on, remedy_of_range)
    return jax.ShapeDtypeStruct(space.shape, learned_on)


def _check_range(space: Any, learned_on: Any, remedy: str) -> None:
    """Refuses bounds beyond a narrower dtype; those of the space's own dtype bound nothing."""
    own, narrow = np.iinfo(space.dtype), np.iinfo(learned_on)
    low, high = int(space.low.min()), int(space.high.max())
    if own.min < low < narrow.min or narrow.max < high < own.max:
        raise SpaceError(
            f"observation space {space} has bounds beyond {learned_on}, in which it is learned on: "
            f"{remedy}."
        )
