"""SAC as first published, with a state-value network (Haarnoja et al. 2018, arXiv:1801.01290).

V_ψ is trained towards the soft value of the policy, min_i Q_θi(s, a) - α log π(a|s), and the
critics bootstrap from V_ψ̄, a slowly moving copy of it; there are no target critics.

The paper fixes the temperature at 1 and scales the rewards. The same optimum, with Q in the units
of the rewards, has `Hyperparameters(alpha_lr=0, initial_alpha=1 / reward_scale)`. Any other
`alpha_lr` learns α as the second paper does.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from jaxsac.sac import distributions
from jaxsac.sac.apply import Variables, apply, apply_in_training
from jaxsac.sac.bodies import BODIES
from jaxsac.sac.config import Scalar
from jaxsac.sac.encoders import encoded, lend
from jaxsac.sac.layers import NetworkSettings
from jaxsac.sac.losses import Result, Sides, distance_to_target
from jaxsac.sac.networks import Networks
from jaxsac.sac.optimize import make_optimizer, minimize
from jaxsac.sac.randomness import Randomness
from jaxsac.sac.state import Metrics, State, Trained
from jaxsac.types import Params, PyTree, Transition


class Value(nn.Module):
    """observation -> V(s), (B,)."""

    settings: NetworkSettings
    param_dtype: Any

    @nn.compact
    def __call__(self, observation: PyTree, train: bool = False) -> jax.Array:
        """V of a batch."""
        body = BODIES[self.settings.body](self.settings, 1, self.param_dtype, train)
        features = encoded(self, self.settings, self.param_dtype, observation)
        return jnp.squeeze(body(features), axis=-1)


class CriticsWithValue(Trained):
    """Critics, V_ψ, and ψ̄, which follows ψ by Polyak averaging."""

    value: Trained
    target_value_params: Params

    @property
    def carried(self) -> tuple[Variables, ...]:
        """The collections of the critics, and those of V."""
        return (self.collections, self.value.collections)


def value_loss(
    params: Params,
    module: nn.Module,
    networks: Networks,
    value: Trained,
    critic: Trained,
    actor: Trained,
    alpha: jax.Array,
    observation: PyTree,
    noise: jax.Array,
    key: jax.Array,
) -> Result:
    """Squared distance to the soft value of the policy, averaged over the batch.

    J(ψ) = E[ ½ (V_ψ(s) - (min_i Q_θi(s, a) - α log π(a|s)))² ], a ~ π(·|s)

    Args:
      params: ψ, trained here.
      module: V.
      networks: actor and critics.
      value: the rest of V's node.
      critic: θ.
      actor: φ.
      alpha: temperature, scalar.
      observation: states (B, ...).
      noise: standard normal (B, A) for the action.
      key: for networks that draw random numbers, and a pessimism that draws critics.
    """
    policy = networks.policy(actor.variables, observation)
    action, log_prob = distributions.sample_and_log_prob(noise, policy)
    critic_key, subset_key, value_key = jax.random.split(key, 3)
    outputs = apply(networks.critic, critic.variables, observation, action, key=critic_key)
    q = networks.target_pessimism(networks.head, outputs, subset_key, networks.pessimism_settings)
    variables = {"params": params, **value.collections}
    prediction, collections = apply_in_training(module, variables, value_key, observation)
    error = prediction - (q - alpha * log_prob)
    return 0.5 * jnp.mean(error**2), (Metrics(value_mean=jnp.mean(prediction)), collections)


def value_critic_loss(
    params: Params,
    module: nn.Module,
    networks: Networks,
    critic: CriticsWithValue,
    gamma: jax.Array,
    batch: Transition,
    key: jax.Array,
    weight: jax.Array | None = None,
) -> Result:
    """Soft Bellman residual, summed over the ensemble and averaged over the batch.

    J(θ) = Σ_i E[ ½ (Q_θi(s, a) - (r + γ d V_ψ̄(s')))² ]

    Args:
      params: θ, trained here.
      module: V.
      networks: the critics.
      critic: the rest of the critics' node, with ψ̄, the slowly moving copy of ψ.
      gamma: discount factor, scalar.
      batch: transitions (B, ...).
      key: for networks that draw random numbers.
      weight: of each transition's distance, (B,); 1 by default.
    """
    prediction, target, collections = bellman(params, module, networks, critic, gamma, batch, key)
    loss, info = distance_to_target(networks.head, prediction, target, weight)
    return loss, (info, collections)


def bellman(
    params: Params,
    module: nn.Module,
    networks: Networks,
    critic: CriticsWithValue,
    gamma: Scalar,
    batch: Transition,
    key: jax.Array,
) -> Sides:
    """Both sides of the soft Bellman equation, of which `value_critic_loss` is the distance."""
    target_variables = {"params": critic.target_value_params, **critic.value.collections}
    target_key, critic_key = jax.random.split(key)
    next_value = apply(module, target_variables, batch.next_observation, key=target_key)
    target = batch.reward + gamma * batch.discount * next_value
    variables = {"params": params, **critic.collections}
    prediction, collections = apply_in_training(
        networks.critic, variables, critic_key, batch.observation, batch.action
    )
    return Sides(prediction, target, collections)


def init(state: State, key: jax.Array) -> CriticsWithValue:
    """The critics' node of a fresh agent: its ensemble, with V_ψ and V_ψ̄."""
    variables = _module(state).init(key, state.observation_spec.zeros(1))
    value = make_optimizer("critic", state.config, state.hyperparameters).start(variables)
    return CriticsWithValue(
        **vars(state.critic), value=value, target_value_params=jax.tree.map(jnp.copy, value.params)
    )


def learn(
    state: State,
    networks: Networks,
    batch: Transition,
    randomness: Randomness,
    weight: jax.Array | None,
) -> tuple[State, Metrics]:
    """A step of the value network, one of the critics, and the target value a little further.

    This is the order of the paper's algorithm 1, whose actor comes next. Its loss has the minimum
    of the critics, as the paper says; the code of its authors has the first critic there
    (haarnoja/sac, fba571f).
    """
    hyper, module = state.hyperparameters, _module(state)
    optimizer = make_optimizer("critic", state.config, hyper)
    value_key, critic_key = _keys(randomness)
    critic: Any = state.critic
    value, value_info = minimize(
        "value", value_loss, optimizer, critic.value, module, networks, critic.value,
        critic, state.actor, state.alpha, batch.observation, randomness.next_action_noise,
        value_key,
    )  # fmt: skip
    critic, info = minimize(
        "critic", value_critic_loss, optimizer, critic, module, networks, critic,
        hyper.gamma, batch, critic_key, weight,
    )  # fmt: skip
    target_value_params = optax.incremental_update(
        value.params, critic.target_value_params, hyper.tau
    )
    critic = critic.replace(value=value, target_value_params=target_value_params)
    state = state.replace(critic=critic, actor=lend(state.actor, critic.params))
    return state, Metrics(value_info, **info)


def td_errors(
    state: State, networks: Networks, batch: Transition, randomness: Randomness
) -> jax.Array:
    """How far each critic is from its target, (E, B)."""
    critic: Any = state.critic
    _, key = _keys(randomness)
    gamma = state.hyperparameters.gamma
    sides = bellman(critic.params, _module(state), networks, critic, gamma, batch, key)
    return sides.errors(networks.head)


def _keys(randomness: Randomness) -> tuple[jax.Array, jax.Array]:
    """Of V's step, and of the critics'."""
    value_key, critic_key = jax.random.split(randomness.critic_key)
    return value_key, critic_key


def _module(state: State) -> Value:
    return Value(state.config.critic_settings, state.action_spec.tree.dtype)
