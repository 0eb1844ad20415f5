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
    return bellman_residual(critic_params, networks, gamma, batch, next_value)


def bellman_residual(
    critic_params: Params,
    networks: Networks,
    gamma: jax.Array,
    batch: Transition,
    next_value: jax.Array,
) -> tuple[jax.Array, CriticInfo]:
    """Σ_i E[ ½ (Q_θi(s, a) - (r + γ d v'))² ] for estimates v' of the next states' values, (B,)."""
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
    """Policy objective, with a choice of how to estimate its gradient.

    J(φ) = E[ α log π_φ(a|s) - min_i Q_i(s, a) ], a = f_φ(ε; s)

    φ enters log π_φ(a|s) twice, through the sample and through the density. Every estimator has
    the value of J and, in expectation over ε, its gradient; they differ in the places where φ is
    seen:

    - "total": in both, which is the derivative of the sampled objective as it stands;
    - "path": in the sample alone. Dropped is α ∇_φ log π_φ(a|s)|_a, whose expectation is zero;
    - "score": in the density alone, (α log π - min_i Q_i - b(s)) ∇_φ log π_φ(a|s)|_a, the
      likelihood ratio. Its baseline b(s) is the objective at the mode, a = tanh(mean): it does
      not depend on ε, so it takes away variance and leaves the expectation.

    Args:
      actor_params: φ, trained here.
      networks: the actor and critic modules.
      critic_params: θ.
      alpha: temperature, scalar.
      observation: states (B, ...).
      noise: ε, standard normal (K, B, A): K actions for every state.
      actor_gradient: "total", "path" or "score".
    """
    policy = networks.policy(actor_params, observation)
    fixed = jax.lax.stop_gradient(policy)
    sampled = fixed if actor_gradient == "score" else policy
    density = fixed if actor_gradient == "path" else policy
    action, log_prob = distributions.sample_and_log_prob(noise, sampled, density)
    q = min_q(networks, critic_params, observation, action)
    info = ActorInfo(entropy=-jnp.mean(log_prob))
    if actor_gradient != "score":
        return jnp.mean(alpha * log_prob - q), info

    mode, mode_log_prob = distributions.sample_and_log_prob(jnp.zeros_like(noise[:1]), fixed)
    baseline = alpha * mode_log_prob - min_q(networks, critic_params, observation, mode)
    fixed_log_prob = jax.lax.stop_gradient(log_prob)
    objective = alpha * fixed_log_prob - q  # sees no φ: it is the weight of ∇ log π
    # The last factor is zero in value.
    surrogate = objective + (objective - baseline) * (log_prob - fixed_log_prob)
    return jnp.mean(surrogate), info


def min_q(
    networks: Networks, critic_params: Params, observation: PyTree, action: jax.Array
) -> jax.Array:
    """min_i Q_i(s, a) of K actions (K, B, A) for every state (B, ...): (K, B)."""
    num_samples, batch_size, size = action.shape
    # One flat batch: networks see exactly one batch axis.
    observation = jax.tree.map(
        lambda x: jnp.tile(x, (num_samples, *(1,) * (x.ndim - 1))), observation
    )
    q = networks.q(critic_params, observation, jnp.reshape(action, (-1, size)))
    return jnp.reshape(jnp.min(q, axis=0), (num_samples, batch_size))


def alpha_loss(
    log_alpha: jax.Array, entropy: jax.Array, target_entropy: jax.Array, weight: str = "log_alpha"
) -> tuple[jax.Array, None]:
    """Temperature loss on log α: J(log α) = log α · (H(π) - H̄).

    Its gradient is the entropy gap itself, whatever α is, so a collapsed temperature recovers as
    fast as it fell. With the weight α instead of log α, as the paper has it, the gradient is α
    times as large.

    Args:
      log_alpha: scalar, trained here.
      entropy: batch estimate of the policy's entropy in [-1, 1]^A, scalar.
      target_entropy: H̄, scalar.
      weight: "log_alpha" or "alpha".
    """
    factor = log_alpha if weight == "log_alpha" else jnp.exp(log_alpha)
    return factor * (entropy - target_entropy), None
