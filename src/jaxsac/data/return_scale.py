"""Rewards on the scale of the returns so far: raw in replay, divided when they are drawn.

What presets ask for by `preset.reward_scale`. Wherever a scale is taken, `()` changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxsac.data import normalize
from jaxsac.data.normalize import Moments
from jaxsac.types import is_whole

EPSILON = 1e-8
RewardScaleName = Literal["none", "return_std", "return_bound"]


class ReturnScale(struct.PyTreeNode):
    """Statistics of the discounted sum G of rewards in E environments."""

    sums: jax.Array
    """G of each, (E,)."""
    moments: Moments
    """Of all values that G has had."""
    largest: jax.Array
    """Of all their |G|, scalar."""
    name: RewardScaleName = struct.field(pytree_node=False)
    bound: float = struct.field(pytree_node=False)
    """What |G| comes to at most by `return_bound`."""


def init(
    name: RewardScaleName,
    num_envs: int = 1,
    bound: float = 5.0,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> ReturnScale | tuple[()]:
    """No rewards yet.

    Args:
      name: "return_std" divides by the deviation of the returns (XQC), "return_bound" by more
        where the largest return would be above `bound` (SimbaV2 and FlashSAC); "none" by nothing.
      num_envs: E, the environments whose rewards are counted.
      bound: what |G| comes to at most by "return_bound".
      dtype: of the rewards.

    Raises:
      ValueError: another name, no environment, or a bound that no return can be brought to.
    """
    if name not in get_args(RewardScaleName):
        raise ValueError(f"name must be one of {get_args(RewardScaleName)}, got {name!r}.")
    if not is_whole(num_envs) or num_envs < 1:
        raise ValueError(f"num_envs must be a whole number from 1 on, got {num_envs!r}.")
    number = isinstance(bound, int | float | np.number | jax.Array) and not np.shape(bound)
    if not number or isinstance(bound, bool) or not 0 < bound < math.inf:
        raise ValueError(f"bound must be a positive number, got {bound!r}.")
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"dtype must be floating, as rewards are, got {dtype}.")
    if name == "none":
        return ()
    zero = jnp.zeros((), dtype)
    (moments,) = normalize.init(zero)
    return ReturnScale(jnp.zeros(num_envs, dtype), moments, zero, name, float(bound))


def update(
    scale: ReturnScale | tuple[()],
    reward: jax.Array,
    valid: jax.Array,
    over: jax.Array,
    gamma: float | jax.Array,
) -> ReturnScale | tuple[()]:
    """G ← γ (1 - over) G + r, counted in each environment.

    The reward that ends an episode so stands alone, and the next episode begins with it: as
    FlashSAC (arXiv:2604.04539) and XQC have it.

    Args:
      scale: so far.
      reward: (E,).
      valid: bool (E,); others are not counted, and G begins again with 0. So it does where it is
        not finite, or not below 1e15.
      over: bool (E,): terminated, cut by a time limit, or not valid.
      gamma: discount factor, scalar.

    Raises:
      ValueError: what is not one for each environment.
    """
    if not scale:
        return scale
    for what, x in {"reward": reward, "valid": valid, "over": over}.items():
        if jnp.shape(x) != scale.sums.shape:
            raise ValueError(
                f"{what} has shape {jnp.shape(x)}, expected one for each of the environments that "
                f"`init` was told of, {scale.sums.shape}."
            )
    sums = gamma * jnp.where(over, 0, scale.sums) + reward
    countable = jnp.asarray(valid, bool) & (jnp.abs(sums) < normalize.LARGEST)
    sums = jnp.where(countable, sums, 0).astype(scale.sums.dtype)
    return scale.replace(
        sums=sums,
        moments=normalize.merge(scale.moments, sums, countable),
        largest=jnp.maximum(scale.largest, jnp.max(jnp.where(countable, jnp.abs(sums), 0))),
    )


def after_data(
    scale: ReturnScale, reward: np.ndarray, over: np.ndarray, gamma: float
) -> ReturnScale:
    """One that has counted nothing, after the rewards (N,) of episodes that are there already.

    Args:
      scale: of `init`.
      reward: NumPy array, episode after episode.
      over: bool (N,): the next reward is of another episode.
      gamma: discount factor.
    """
    discounts = gamma * (1.0 - over)
    sums, so_far = np.empty(len(reward)), 0.0
    for row, (r, d) in enumerate(zip(reward.tolist(), discounts.tolist(), strict=True)):
        sums[row] = so_far = d * so_far + r
        if not abs(so_far) < normalize.LARGEST:
            so_far = 0.0
    (moments,) = normalize.of_data(sums.astype(scale.largest.dtype))
    sizes = np.abs(sums)
    largest = sizes.max(initial=0, where=sizes < normalize.LARGEST)
    return scale.replace(moments=moments, largest=jnp.asarray(largest, scale.largest.dtype))


def restart(scale: ReturnScale | tuple[()], over: jax.Array) -> ReturnScale | tuple[()]:
    """Begins again with G = 0 where episodes were given up."""
    return scale.replace(sums=jnp.where(over, 0, scale.sums)) if scale else scale


def apply(scale: ReturnScale | tuple[()], reward: jax.Array) -> jax.Array:
    """Rewards, or sums of them, of any shape, on the scale of the returns so far."""
    if not scale:
        return reward
    reward = jnp.asarray(reward)
    scaled = reward / divisor(scale)
    return scaled.astype(reward.dtype) if jnp.issubdtype(reward.dtype, jnp.floating) else scaled


def divisor(scale: ReturnScale | tuple[()]) -> jax.Array:
    """What rewards are divided by, scalar; 1 before the first."""
    if not scale:
        return jnp.ones(())
    return jnp.where(scale.moments.count > 0, DIVISORS[scale.name](scale), 1)


def return_std(scale: ReturnScale) -> jax.Array:
    """std(G) + ε (XQC); 1 while all G are the same."""
    variance = _variance(scale)
    return jnp.where(variance > 0, jnp.sqrt(variance) + EPSILON, 1)


def return_bound(scale: ReturnScale) -> jax.Array:
    """max( √(Var G + ε), max|G| / bound ) (SimbaV2 and FlashSAC)."""
    return jnp.maximum(jnp.sqrt(_variance(scale) + EPSILON), scale.largest / scale.bound)


DIVISORS: dict[str, Callable[[ReturnScale], jax.Array]] = {
    "return_std": return_std,
    "return_bound": return_bound,
}


def _variance(scale: ReturnScale) -> jax.Array:
    moments = scale.moments
    return moments.squares / jnp.maximum(moments.count, 1).astype(moments.squares.dtype)
