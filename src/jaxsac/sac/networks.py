"""The default networks: multilayer perceptrons in Flax Linen.

Any pair of Linen modules with the same signatures can take the place of actor and critic
(`Config.actor` and `Config.critic`). Networks always see observations with exactly one batch axis.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxsac.sac.distributions import TanhNormal
from jaxsac.sac.state import Config
from jaxsac.types import Params, PyTree, Spec


def orthogonal_kernel(key: jax.Array, shape: tuple[int, int], dtype: Any) -> jax.Array:
    """A random semi-orthogonal matrix times √2, (inputs, outputs).

    On HalfCheetah this is worth about 1,000 points of return at 100,000 steps over Flax's default
    (LeCun normal). The matrix is the polar factor of a Gaussian one, which is uniformly
    distributed like the usual QR factor, by the Newton-Schulz iteration X ← (3X - X XᵀX) / 2.
    Matrix products alone, because jaxlib's QR on the CPU can deadlock: batched, as over seeds or
    an ensemble, it waits inside a worker of the thread pool that it needs.
    """
    gaussian = jax.random.normal(key, shape, jnp.promote_types(dtype, jnp.float32))
    # A Gaussian matrix has no singular value much above √m + √n; the iteration needs them below √3
    # and multiplies small ones by 1.5 a step.
    x = gaussian / (1.1 * (math.sqrt(shape[0]) + math.sqrt(shape[1])))

    def step(_: int, x: jax.Array) -> jax.Array:
        cubed = (x @ x.T) @ x if shape[0] <= shape[1] else x @ (x.T @ x)
        return 1.5 * x - 0.5 * cubed

    return (math.sqrt(2) * jax.lax.fori_loop(0, 50, step, x)).astype(dtype)


def initializers(name: str, fan_in: int) -> dict[str, Any]:
    """`kernel_init` and `bias_init` of a dense layer (`Config.initializer`)."""
    if name == "torch":  # nn.Linear: both uniform within ±1/√fan_in
        bound = 1 / math.sqrt(fan_in)

        def uniform(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
            return jax.random.uniform(key, shape, dtype, -bound, bound)

        return {"kernel_init": uniform, "bias_init": uniform}
    kernels = {
        "orthogonal": orthogonal_kernel,
        "lecun_normal": nn.initializers.lecun_normal(),
        "lecun_uniform": nn.initializers.lecun_uniform(),
    }
    return {"kernel_init": kernels[name], "bias_init": nn.initializers.zeros}


def log_std_of(output: jax.Array, config: Config) -> jax.Array:
    """log σ from the actor's output (`Config.log_std_map`)."""
    low, high = config.log_std_min, config.log_std_max
    if config.log_std_map == "clip":
        return jnp.clip(output, low, high)
    if config.log_std_map == "tanh":
        return low + 0.5 * (high - low) * (jnp.tanh(output) + 1)
    return jnp.log(math.exp(low) + jax.nn.softplus(output))


class MLP(nn.Module):
    """Hidden layers, each with an optional LayerNorm and the activation; a linear output layer."""

    config: Config
    output_size: int
    param_dtype: Any

    @nn.compact
    def __call__(self, *inputs: PyTree) -> jax.Array:
        config = self.config

        def dense(x: jax.Array, size: int) -> jax.Array:
            initial = initializers(config.initializer, x.shape[-1])
            return nn.Dense(size, param_dtype=self.param_dtype, **initial)(x)

        x = flat_features(inputs, self.param_dtype)
        for size in config.hidden_sizes:
            x = dense(x, size)
            if config.layer_norm:
                x = nn.LayerNorm(param_dtype=self.param_dtype)(x)
            x = getattr(nn, config.activation)(x)
        return dense(x, self.output_size)


class Actor(nn.Module):
    """observation -> (mean, log_std) of the pre-tanh Gaussian, each (B, A)."""

    config: Config
    action_size: int
    param_dtype: Any

    @nn.compact
    def __call__(self, observation: PyTree) -> tuple[jax.Array, jax.Array]:
        output = MLP(self.config, 2 * self.action_size, self.param_dtype)(observation)
        mean, output = jnp.split(output, 2, axis=-1)
        return mean, log_std_of(output, self.config)


class Critic(nn.Module):
    """(observation, action) -> Q(s, a) of every member of the ensemble, (E, B)."""

    config: Config
    param_dtype: Any

    @nn.compact
    def __call__(self, observation: PyTree, action: jax.Array) -> jax.Array:
        # One batched matrix product a layer for the whole ensemble, the first one too: with inputs
        # that are shared the compiler makes it one wide product and transposes its results.
        size = self.config.num_critics
        ensemble = nn.vmap(
            MLP,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=0,  # pyright: ignore[reportArgumentType]
            out_axes=0,
            axis_size=size,
        )(self.config, 1, self.param_dtype)
        inputs = jax.tree.map(
            lambda x: jnp.broadcast_to(x, (size, *x.shape)), (observation, action)
        )
        return jnp.squeeze(ensemble(*inputs), axis=-1)


class Value(nn.Module):
    """observation -> V(s), (B,)."""

    config: Config
    param_dtype: Any

    @nn.compact
    def __call__(self, observation: PyTree) -> jax.Array:
        return jnp.squeeze(MLP(self.config, 1, self.param_dtype)(observation), axis=-1)


class Networks(NamedTuple):
    """The Linen modules of an agent."""

    actor: Any
    """apply({"params": p}, observation) -> (mean, log_std), each (B, A)."""
    critic: Any
    """apply({"params": p}, observation, action) -> q, (E, B)."""
    log_prob_epsilon: float = 0.0
    value: Any = None
    """apply({"params": p}, observation) -> v, (B,); None without a value network."""

    def policy(self, params: Params, observation: PyTree) -> TanhNormal:
        """π_φ(·|s) for a batch of states."""
        mean, log_std = self.actor.apply({"params": params}, observation)
        return TanhNormal(mean, log_std, self.log_prob_epsilon)

    def q(self, params: Params, observation: PyTree, action: jax.Array) -> jax.Array:
        """Q_θ(s, a) of every critic, (E, B)."""
        return self.critic.apply({"params": params}, observation, action)

    def v(self, params: Params, observation: PyTree) -> jax.Array:
        """V_ψ(s), (B,)."""
        return self.value.apply({"params": params}, observation)


def make_networks(config: Config, action_spec: Spec) -> Networks:
    """The default networks for a configuration, or the custom ones that it names."""
    (size,), dtype = action_spec.tree.shape, action_spec.tree.dtype
    return Networks(
        actor=config.actor or Actor(config, size, dtype),
        critic=config.critic or Critic(config, dtype),
        log_prob_epsilon=config.log_prob_epsilon,
        value=Value(config, dtype) if config.value_network else None,
    )


def flat_features(tree: PyTree, dtype: Any) -> jax.Array:
    """All leaves of a pytree with one batch axis, flattened and joined: (B, features).

    Bytes are pixels, and brought to [0, 1].
    """

    def features(x: jax.Array) -> jax.Array:
        flat = jnp.reshape(x, (x.shape[0], math.prod(x.shape[1:]))).astype(dtype)
        return flat / 255 if x.dtype == jnp.uint8 else flat

    return jnp.concatenate([features(x) for x in jax.tree.leaves(tree)], axis=-1)
