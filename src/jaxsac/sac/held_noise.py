"""Exploration that keeps its noise for several steps, while the policy follows the state.

What is kept is the key: by the same key `act` draws the same ε, and mean and σ are those of the
state at hand. It is the exploration of FlashSAC (arXiv:2604.04539).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from jaxsac.types import check_key, is_whole


class HeldNoise(struct.PyTreeNode):
    """The noise of E environments."""

    key: jax.Array
    """What draws each one's ε: E of them."""
    left: jax.Array
    """Further actions that it is for, int32 (E,)."""
    longest: int = struct.field(pytree_node=False)
    """Actions that one ε is for at most."""


def init(longest: int, num_envs: int, key: jax.Array) -> HeldNoise:
    """To be drawn with the first action.

    Args:
      longest: actions that one ε is for at most; with 1 each has its own.
      num_envs: E.
      key: PRNG key.

    Raises:
      TypeError: a key that is none.
      ValueError: `longest` or `num_envs` is no positive whole number, or a key of a generator that
        draws by one key of several.
    """
    check_key(key)
    if longest != 1 and "rbg" in str(jax.random.key_impl(key)):
        # Under vmap they draw by the first key of a batch, whatever the others are.
        raise ValueError(
            f"a key of {jax.random.key_impl(key)} cannot hold noise, as under jax.vmap it is not "
            "drawn by each key: give one of threefry2x32 (JAX_DEFAULT_PRNG_IMPL)."
        )
    for name, value in {"longest": longest, "num_envs": num_envs}.items():
        if not is_whole(value) or value < 1:
            raise ValueError(f"{name} must be a whole number from 1 on, got {value!r}.")
    keys, left = jax.random.split(key, num_envs), jnp.zeros(num_envs, jnp.int32)
    return HeldNoise(keys, left, int(longest))


def advance(noise: HeldNoise, key: jax.Array) -> HeldNoise:
    """The noise of the next action: what is over is drawn anew, for k actions.

    P(k) ∝ k⁻² for k up to `longest`; drawn for each environment, and held across the end of an
    episode. Each environment acts with its own key:
    `jax.vmap(act, in_axes=(None, 0, 0))(state, observation, noise.key)`.

    Args:
      noise: so far.
      key: PRNG key, of the kind that `init` was given.

    Raises:
      TypeError: a key that is none.
    """
    check_key(key)
    noise_key, length_key = jax.random.split(key)
    count = len(noise.left)
    log_weights = -2 * jnp.log(jnp.arange(1, noise.longest + 1))
    lengths = 1 + jax.random.categorical(length_key, log_weights, shape=(count,)).astype(jnp.int32)
    is_over, new = noise.left == 0, jax.random.split(noise_key, count)
    of_key = is_over.reshape(-1, *[1] * (new.ndim - 1))  # a key of the old kind is two numbers
    return noise.replace(
        key=jnp.where(of_key, new, noise.key),
        left=jnp.where(is_over, lengths, noise.left) - 1,
    )
