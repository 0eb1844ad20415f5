"""The three losses of Soft Actor-Critic (Haarnoja et al. 2018, arXiv:1812.05905).

A loss takes the parameters that it trains first and returns `(scalar, info)`. It is
differentiated in its first argument alone, so no `stop_gradient` is needed to keep one network's
loss out of another's parameters, and the derivative of a whole update with respect to anything
else (γ, a reward) is complete.

Axes: B batch, E ensemble, A action.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxsac.sac import distributions
from jaxsac.sac.networks import Networks
from jaxsac.types import Params, PyTree, Transition


class CriticInfo(NamedTuple):
    q_mean: jax.Array
    target_mean: jax.Array


class ActorInfo(NamedTuple):
    entropy: jax.Array


def critic_loss(
    critic_params: Params,
    networks: Networks,
    target_critic_params: Params,
    actor_params: Params,
    alpha: jax.Array,
    gamma: jax.Array,
    batch: Transition,
    noise: jax.Array,
) -> tuple[jax.Array, CriticInfo]:
    """Soft Bellman residual, summed over the ensemble and averaged over the batch.

    J(θ) = Σ_i E[ ½ (Q_θi(s, a) - y)² ],
    y = r + γ d ( min_i Q_θ̄i(s', a') - α log π(a'|s') ), a' ~ π(·|s')

    Args:
      critic_params: θ, trained here.
      networks: the actor and critic modules.
      target_critic_params: θ̄, the slowly moving copy.
      actor_params: φ.
      alpha: temperature, scalar.
      gamma: discount factor, scalar.
      batch: transitions (B, ...).
      noise: standard normal (B, A) for the next action.
    """
    next_policy = networks.policy(actor_params, batch.next_observation)
    next_action, next_log_prob = distributions.sample_and_log_prob(noise, next_policy)
    next_q = jnp.min(networks.q(target_critic_params, batch.next_observation, next_action), axis=0)
    next_value = next_q - alpha * next_log_prob
    target = batch.reward + gamma * batch.discount * next_value
    prediction = networks.q(critic_params, batch.observation, batch.action)
    error = prediction - target
    loss = 0.5 * jnp.sum(jnp.mean(error**2, axis=-1))
    return loss, CriticInfo(q_mean=jnp.mean(prediction), target_mean=jnp.mean(target))


def actor_loss(
    actor_params: Params,
    networks: Networks,
    critic_params: Params,
    alpha: jax.Array,
    observation: PyTree,
    noise: jax.Array,
    actor_gradient: str = "total",
) -> tuple[jax.Array, ActorInfo]:
    """Reparameterized policy objective.

    J(φ) = E[ α log π_φ(a|s) - min_i Q_i(s, a) ], a = f_φ(ε; s)

    Args:
      actor_params: φ, trained here.
      networks: the actor and critic modules.
      critic_params: θ.
      alpha: temperature, scalar.
      observation: states (B, ...).
      noise: ε, standard normal (B, A).
      actor_gradient: "total" differentiates log π_φ through the sample and through the density.
        "path" differentiates through the sample only, which drops the score term
        α ∇_φ log π_φ(a|s)|_a, whose expectation is zero. The value is the same.
    """
    policy = networks.policy(actor_params, observation)
    density = jax.lax.stop_gradient(policy) if actor_gradient == "path" else policy
    action, log_prob = distributions.sample_and_log_prob(noise, policy, density)
    q = jnp.min(networks.q(critic_params, observation, action), axis=0)
    return jnp.mean(alpha * log_prob - q), ActorInfo(entropy=-jnp.mean(log_prob))


def alpha_loss(
    log_alpha: jax.Array, entropy: jax.Array, target_entropy: jax.Array
) -> tuple[jax.Array, None]:
    """Temperature loss on log α: J(log α) = log α · (H(π) - H̄).

    Its gradient is the entropy gap itself, whatever α is, so a collapsed temperature recovers as
    fast as it fell.

    Args:
      log_alpha: scalar, trained here.
      entropy: batch estimate of the policy's entropy in [-1, 1]^A, scalar.
      target_entropy: H̄, scalar.
    """
    return log_alpha * (entropy - target_entropy), None
