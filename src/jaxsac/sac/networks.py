"""Actor and critics, and how they are asked.

Any pair of Linen modules with the same signatures can take the place of the default ones
(`Config.actor` and `Config.critic`). Networks always see observations with exactly one batch axis.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxsac.sac.apply import Variables, apply, apply_in_training
from jaxsac.sac.bodies import BODIES
from jaxsac.sac.config import Config
from jaxsac.sac.distributions import TanhNormal
from jaxsac.sac.encoders import encoded, encoded_as_lent
from jaxsac.sac.forward import FORWARDS, Forward, apart, concatenated
from jaxsac.sac.heads import HEADS, Head, Scalar
from jaxsac.sac.layers import Body, NetworkSettings
from jaxsac.sac.pessimism import PESSIMISMS, Pessimism, PessimismSettings, minimum
from jaxsac.sac.state import Trained
from jaxsac.types import Params, PyTree, Spec


def log_std_of(output: jax.Array, config: Config) -> jax.Array:
    """log σ from the actor's output (`Config.log_std_map`)."""
    low, high = config.log_std_min, config.log_std_max
    if config.log_std_map == "clip":
        return jnp.clip(output, low, high)
    if config.log_std_map == "tanh":
        return low + 0.5 * (high - low) * (jnp.tanh(output) + 1)
    return jnp.log(math.exp(low) + jax.nn.softplus(output))


class Actor(nn.Module):
    """observation -> (mean, log_std) of the pre-tanh Gaussian, each (B, A)."""

    config: Config
    action_size: int
    param_dtype: Any

    @nn.compact
    def __call__(self, observation: PyTree, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Mean and log σ of a batch."""
        settings = self.config.actor_settings
        body = BODIES[settings.body](settings, 2 * self.action_size, self.param_dtype, train)
        features = encoded_as_lent(self, settings, self.param_dtype, observation)
        mean, output = jnp.split(body(features), 2, axis=-1)
        return mean, log_std_of(output, self.config)


class Critic(nn.Module):
    """(observation, action) -> the outputs of an ensemble of critics, (E, B, *head.shape)."""

    settings: NetworkSettings
    num_critics: int
    output_shape: tuple[int, ...]
    param_dtype: Any

    @nn.compact
    def __call__(self, observation: PyTree, action: jax.Array, train: bool = False) -> jax.Array:
        """Outputs of a batch."""
        # One batched matrix product a layer for the whole ensemble, the first one too: with inputs
        # that are shared the compiler makes it one wide product and transposes its results.
        size = self.num_critics
        body: type[Body] = BODIES[self.settings.body]
        ensemble = nn.vmap(
            body,
            variable_axes={"params": 0, "batch_stats": 0, "intermediates": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=0,  # pyright: ignore[reportArgumentType]
            out_axes=0,
            axis_size=size,
        )(self.settings, math.prod(self.output_shape), self.param_dtype, train)
        features = encoded(self, self.settings, self.param_dtype, observation)
        inputs = jax.tree.map(lambda x: jnp.broadcast_to(x, (size, *x.shape)), (features, action))
        output = ensemble(*inputs)
        return jnp.reshape(output, (*output.shape[:2], *self.output_shape))


class Networks(NamedTuple):
    """The networks of an agent, and what their outputs mean."""

    actor: Any
    """Module: observation -> (mean, log_std), each (B, A)."""
    critic: Any
    """Module: (observation, action) -> output, (E, B, *head.shape)."""
    head: Head = Scalar()
    forward: Forward = apart
    target_pessimism: Pessimism = minimum
    actor_pessimism: Pessimism = minimum
    pessimism_settings: PessimismSettings = PessimismSettings()
    log_prob_epsilon: float = 0.0

    def policy(self, variables: Variables, observation: PyTree) -> TanhNormal:
        """π_φ(·|s) for a batch of states."""
        mean, log_std = apply(self.actor, variables, observation)
        return TanhNormal(mean, log_std, self.log_prob_epsilon)

    def policy_in_training(
        self,
        params: Params,
        actor: Trained,
        observation: PyTree,
        key: jax.Array,
        company: PyTree = None,
    ) -> tuple[TanhNormal, Variables]:
        """π_φ(·|s) for φ = `params`, and the actor's collections after this batch.

        States in `company`, (B', ...), count for batch statistics too; of them nothing is returned.
        """
        variables = {"params": params, **actor.collections}
        seen = observation if company is None else concatenated(observation, company)
        (mean, log_std), collections = apply_in_training(self.actor, variables, key, seen)
        if company is not None:
            size = len(jax.tree.leaves(observation)[0])
            mean, log_std = mean[:size], log_std[:size]
        return TanhNormal(mean, log_std, self.log_prob_epsilon), collections

    def q(self, variables: Variables, observation: PyTree, action: jax.Array) -> jax.Array:
        """Q_θ(s, a) of every critic, (E, B)."""
        return self.head.value(apply(self.critic, variables, observation, action))


def make_networks(config: Config, action_spec: Spec) -> Networks:
    """The default networks for a configuration, or the custom ones that it names."""
    (size,), dtype = action_spec.tree.shape, action_spec.tree.dtype
    head = HEADS[config.head](config)
    critic = Critic(config.critic_settings, config.num_critics, head.shape, dtype)
    return Networks(
        actor=_sized(config.actor, size) or Actor(config, size, dtype),
        critic=_sized(config.critic, size) or critic,
        head=head,
        forward=FORWARDS[config.forward],
        target_pessimism=PESSIMISMS[config.target_pessimism],
        actor_pessimism=PESSIMISMS[config.actor_pessimism],
        pessimism_settings=PessimismSettings(config.subset_size, config.dropped_quantiles),
        log_prob_epsilon=config.log_prob_epsilon,
    )


def _sized(network: Any, action_size: int) -> Any:
    """A custom network that is told the number of actions, if it has a field for it."""
    if network is not None and getattr(network, "action_size", 0) is None:
        return network.clone(action_size=action_size)
    return network
