"""The actor's gradient, taken apart into its terms."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxsac.sac import distributions
from jaxsac.sac.losses import actor_loss, min_q
from jaxsac.sac.networks import Networks
from jaxsac.types import Params, PyTree


class GradientTerms(NamedTuple):
    """∇_φ J by the way in which φ enters; each is shaped like the actor's parameters.

    score + entropy_path + q_path = total.
    """

    score: Params
    """α ∇_φ log π_φ(a|s) at fixed a: through the density. Its expectation is zero."""
    entropy_path: Params
    """α ∇_a log π(a|s) ∇_φ f_φ(ε; s): the entropy's part through the sample."""
    q_path: Params
    """-∇_a Q(s, a) ∇_φ f_φ(ε; s): the critic's part through the sample."""
    total: Params
    """`jax.grad` of the reparameterized actor loss."""


def actor_gradient_terms(
    actor_params: Params,
    networks: Networks,
    critic_params: Params,
    alpha: jax.Array,
    observation: PyTree,
    noise: jax.Array,
) -> GradientTerms:
    """Splits the actor's gradient into score, entropy path and Q path.

    φ enters J(φ) = E[ α log π_φ(f_φ(ε; s)|s) - Q(s, f_φ(ε; s)) ] twice. Giving the two places
    two names, `path` for f and `density` for π, makes the terms plain partial derivatives.

    Args:
      actor_params: φ.
      networks: the actor and critic modules.
      critic_params: θ.
      alpha: temperature, scalar.
      observation: states (B, ...).
      noise: ε, standard normal (K, B, A).
    """

    def entropy_term(path: Params, density: Params) -> jax.Array:
        sampler, evaluated = (
            networks.policy(path, observation),
            networks.policy(density, observation),
        )
        _, log_prob = distributions.sample_and_log_prob(noise, sampler, evaluated)
        return jnp.mean(alpha * log_prob)

    def q_term(path: Params) -> jax.Array:
        action, _ = distributions.sample_and_log_prob(noise, networks.policy(path, observation))
        return -jnp.mean(min_q(networks, critic_params, observation, action))

    entropy_path, score = jax.grad(entropy_term, argnums=(0, 1))(actor_params, actor_params)
    q_path = jax.grad(q_term)(actor_params)
    total, _ = jax.grad(actor_loss, has_aux=True)(
        actor_params, networks, critic_params, alpha, observation, noise
    )
    return GradientTerms(score, entropy_path, q_path, total)
