"""The actor's gradient, taken apart into its terms."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxsac.sac import distributions
from jaxsac.sac.losses import actor_loss, q_of_samples
from jaxsac.sac.networks import Networks
from jaxsac.sac.state import Trained
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
    actor: Trained,
    networks: Networks,
    critic: Trained,
    alpha: jax.Array,
    observation: PyTree,
    noise: jax.Array,
    key: jax.Array,
    company: PyTree = None,
) -> GradientTerms:
    """Splits the actor's gradient into score, entropy path and Q path.

    φ enters J(φ) = E[ α log π_φ(f_φ(ε; s)|s) - Q(s, f_φ(ε; s)) ] twice. Giving the two places
    two names, `path` for f and `density` for π, makes the terms plain partial derivatives.

    Args:
      actor: φ.
      networks: the modules, and the choices.
      critic: θ.
      alpha: temperature, scalar.
      observation: states (B, ...).
      noise: ε, standard normal (K, B, A).
      key: for networks that draw random numbers; all terms see the same.
      company: further states that share a batch with those, as in `actor_loss`.
    """

    def policy(params: Params) -> distributions.TanhNormal:
        return networks.policy_in_training(params, actor, observation, key, company)[0]

    def entropy_term(path: Params, density: Params) -> jax.Array:
        _, log_prob = distributions.sample_and_log_prob(noise, policy(path), policy(density))
        return jnp.mean(alpha * log_prob)

    def q_term(path: Params) -> jax.Array:
        action, _ = distributions.sample_and_log_prob(noise, policy(path))
        return -jnp.mean(q_of_samples(networks, critic, observation, key, action))

    entropy_path, score = jax.grad(entropy_term, argnums=(0, 1))(actor.params, actor.params)
    q_path = jax.grad(q_term)(actor.params)
    total, _ = jax.grad(actor_loss, has_aux=True)(
        actor.params, networks, actor, critic, alpha, observation, noise, key, company=company
    )
    return GradientTerms(score, entropy_path, q_path, total)
