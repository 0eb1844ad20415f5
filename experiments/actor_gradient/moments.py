"""Mean and covariance of the actor's gradient and of its terms, at fixed parameters.

The gradient of one action is g = J_sᵀ h(s, ε): h is the derivative with respect to the network's
outputs (mean, log std) and J_s the derivative of the outputs with respect to the parameters, the
same for every ε. So ⟨g, g'⟩ = hᵀ (J_s J_sᵀ) h', and no gradient of the network's size is needed
for each sample.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

import jaxsac
from jaxsac.sac.distributions import TanhNormal, sample_and_log_prob
from jaxsac.sac.losses import q_of_samples
from jaxsac.sac.networks import Networks, make_networks
from jaxsac.sac.state import Trained
from jaxsac.types import Params, PyTree

TERMS = ("score", "entropy_path", "q_path", "likelihood_ratio")
"""The three parts of the total gradient, and the estimator "score" for itself."""
STATES_AT_ONCE = 64


class Moments(NamedTuple):
    """Of the gradients of single actions, each (4, 4) with `TERMS` as rows and columns."""

    mean: jax.Array
    """⟨E g, E g'⟩ over states and ε, the bias by the finite number of samples taken off."""
    noise: jax.Array
    """Trace of the covariance over ε at a state, averaged over the states."""
    states: jax.Array
    """Trace of the covariance, over the states, of the gradient's mean over ε."""


@jax.jit
def moments(state: jaxsac.State, observation: PyTree, noise: jax.Array) -> Moments:
    """Moments of the gradient's terms over a fixed batch of states and K actions for each.

    Args:
      state: one agent.
      observation: states (N, ...).
      noise: ε (K, N, A).
    """
    networks = make_networks(state.config, state.action_spec)
    policy = networks.policy(state.actor.variables, observation)
    h = output_gradients(networks, state.critic, state.alpha, observation, policy, noise)
    gram = _grams(networks, state.actor.params, observation)
    num_samples, num_states = noise.shape[:2]

    at_state = jnp.mean(h, axis=1)  # (4, N, 2A)
    between = jnp.einsum("xni,nij,ynj->nxy", at_state, gram, at_state)
    all_pairs = jnp.einsum("xkni,nij,yknj->nxy", h, gram, h) / num_samples
    within = jnp.mean(all_pairs - between, axis=0) * num_samples / (num_samples - 1)

    _, pull_back = jax.vjp(lambda p: _outputs(networks, p, observation), state.actor.params)
    means = jax.vmap(lambda cotangent: pull_back(cotangent)[0])(at_state / num_states)
    flat = jnp.concatenate([leaf.reshape(len(TERMS), -1) for leaf in jax.tree.leaves(means)], 1)
    # Over few ε a mean is longer, and the means of the states are further apart, than they are.
    mean = flat @ flat.T - within / (num_states * num_samples)
    return Moments(mean, within, jnp.mean(between, axis=0) - within / num_samples - mean)


def output_gradients(
    networks: Networks,
    critic: Trained,
    alpha: jax.Array,
    observation: PyTree,
    policy: TanhNormal,
    noise: jax.Array,
) -> jax.Array:
    """h of every term, action and state: (4, K, N, 2A).

    Args:
      networks: the actor and critic modules.
      critic: θ.
      alpha: temperature, scalar.
      observation: states (N, ...).
      policy: the actor's outputs at them, (N, A) each.
      noise: ε (K, N, A).
    """
    key = jax.random.key(0)  # for networks that draw numbers, which these do not
    outputs = jax.tree.map(lambda x: jnp.broadcast_to(x, noise.shape), policy)

    def log_prob_sum(path: TanhNormal, density: TanhNormal) -> jax.Array:
        return jnp.sum(sample_and_log_prob(noise, path, density)[1])

    def q_sum(path: TanhNormal) -> jax.Array:
        action, _ = sample_and_log_prob(noise, path)
        return jnp.sum(q_of_samples(networks, critic, observation, key, action))

    def objective(noise: jax.Array) -> jax.Array:
        action, log_prob = sample_and_log_prob(noise, policy)
        return alpha * log_prob - q_of_samples(networks, critic, observation, key, action)

    path, score = (_joined(g) for g in jax.grad(log_prob_sum, argnums=(0, 1))(outputs, outputs))
    q_path = _joined(jax.grad(q_sum)(outputs))
    advantage = objective(noise) - objective(jnp.zeros_like(noise[:1]))
    return jnp.stack([alpha * score, alpha * path, -q_path, advantage[..., None] * score])


def _outputs(networks: Networks, params: Params, observation: PyTree) -> jax.Array:
    return _joined(networks.policy({"params": params}, observation))


def _joined(policy: TanhNormal) -> jax.Array:
    return jnp.concatenate([policy.mean, policy.log_std], axis=-1)


def _grams(networks: Networks, params: Params, observation: PyTree) -> jax.Array:
    """J_s J_sᵀ of every state, (N, 2A, 2A)."""

    def gram(one: PyTree) -> jax.Array:
        batch = jax.tree.map(lambda x: x[None], one)
        jacobian = jax.jacrev(lambda p: _outputs(networks, p, batch)[0])(params)
        flat = [leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(jacobian)]
        return jnp.sum(jnp.stack([rows @ rows.T for rows in flat]), axis=0)

    return jax.lax.map(gram, observation, batch_size=STATES_AT_ONCE)
