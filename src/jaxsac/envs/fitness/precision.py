"""Which numbers of an environment do not survive the conversion to what learning uses.

Replay holds observations in the dtypes of `spaces.observation_example`, which has 32 bits where JAX
does; networks compute in float32, and rewards are float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from gymnasium import spaces

from jaxsac.envs.spaces import rescaled
from jaxsac.types import PyTree

FEWEST_LEVELS = 4096
"""Numbers of float32 within the bounds of a feature, with fewer of which it is coarse."""
LARGEST_LOSS = 0.05
"""Of rounding to float32, in standard deviations of what is rounded."""
NOISE = 1e-12
"""Relative changes below it are rounding of the simulator's own."""
NEGLIGIBLE = 1e-30
LARGEST = float(np.finfo(np.float32).max)
RESCALED_REWARD = (
    "subtract an offset and rescale: `gymnasium.wrappers.TransformReward(env, lambda reward: "
    "(reward - OFFSET) / SCALE)`"
)


class Leaf(NamedTuple):
    """One array of an observation."""

    name: str
    """As a person writes it."""
    keys: tuple[Any, ...]
    """Where it is in the observation."""
    space: Any
    """Box or MultiBinary."""

    def of(self, observation: PyTree) -> np.ndarray:
        """This array of an observation."""
        for key in self.keys:
            observation = observation[key]
        return np.asarray(observation)


def leaves(
    space: spaces.Space[Any], name: str = "observation", keys: tuple[Any, ...] = ()
) -> Iterator[Leaf]:
    """The arrays of an observation space that can be learned on."""
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from leaves(part, f"{name}[{key!r}]", (*keys, key))
    elif isinstance(space, spaces.Tuple):
        for key, part in enumerate(space.spaces):
            yield from leaves(part, f"{name}[{key}]", (*keys, key))
    else:
        yield Leaf(name, keys, space)


@np.errstate(all="ignore")
def lost(
    space: spaces.Space[Any], observations: Sequence[PyTree], rewards: Sequence[Any]
) -> list[str]:
    """Sentences on numbers that differ, and do not after rounding to float32.

    Args:
      space: of the observations.
      observations: of consecutive steps, one at least.
      rewards: of these steps.
    """
    remedy = rescaled(space)
    found = [
        _coarse(leaf, remedy)
        or _lost(leaf.name, np.stack([leaf.of(x) for x in observations]), remedy)
        for leaf in leaves(space)
    ]
    found.append(_lost("the reward", np.array(rewards, np.float64), RESCALED_REWARD))
    return [text for text in found if text is not None]


def _coarse(leaf: Leaf, remedy: str) -> str | None:
    """A sentence on the first feature whose bounds leave it few numbers of float32."""
    space = leaf.space
    if space.dtype != np.float64 or jax.dtypes.canonicalize_dtype(np.float64) == np.float64:
        return None
    low, high = space.low.ravel(), space.high.ravel()
    bounded = np.isfinite(low) & np.isfinite(high) & (low < high)
    low, high = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
    largest = np.maximum(np.abs(low), np.abs(high))
    levels = (high - low) / np.spacing(largest.astype(np.float32))
    coarse = np.flatnonzero(bounded & (levels < FEWEST_LEVELS) & (largest > NEGLIGIBLE))
    if not coarse.size:
        return None
    first = coarse[0]
    return (
        f"{element(leaf.name, space.shape, first)} lies between {low[first]:.10g} and "
        f"{high[first]:.10g}, where float32, in which it is learned on, has {int(levels[first]):,} "
        f"numbers: {remedy}."
    )


def _lost(name: str, values: np.ndarray, remedy: str) -> str | None:
    """A sentence on the first feature of an array (T, ...) that float32 loses; None without one."""
    if values.dtype.itemsize < 4 or values.dtype == np.float32 or values.size == 0:
        return None
    exact = values.reshape(len(values), -1).astype(np.float64)
    exact = np.where(np.isfinite(exact), exact, 0)
    largest = np.abs(exact).max(axis=0)
    beyond = np.flatnonzero(largest > LARGEST)
    if beyond.size:
        return (
            f"{element(name, values.shape[1:], beyond[0])} is as large as "
            f"{largest[beyond[0]]:.3g}, beyond float32, in which it is learned on: {remedy}."
        )
    rounded = exact.astype(np.float32).astype(np.float64)
    loss, spread = np.sqrt(((exact - rounded) ** 2).mean(axis=0)), exact.std(axis=0)
    changes = (spread > NOISE * largest) & (largest > NEGLIGIBLE)
    lost = np.flatnonzero(changes & (loss > LARGEST_LOSS * spread))
    if not lost.size:
        return None
    first = lost[0]
    return (
        f"{element(name, values.shape[1:], first)} is about {exact[0, first]:.10g} and changes by "
        f"{spread[first]:.2g} (standard deviation), which float32, in which it is learned on, "
        f"rounds away: {remedy}."
    )


def element(name: str, shape: tuple[int, ...], index: int) -> str:
    """What a person calls one number of an array, by its index in the flat one."""
    if int(np.prod(shape)) == 1:
        return name
    return f"{name}[{', '.join(map(str, np.unravel_index(index, shape)))}]"
