"""The losses of Soft Actor-Critic (Haarnoja et al. 2018, arXiv:1812.05905).

A loss takes the parameters that it trains first and returns `(scalar, (info, collections))`: its
metrics by name, and the collections of the network after this batch. It is differentiated in its
first argument alone, so no `stop_gradient` is needed to keep one network's loss out of another's
parameters, and the derivative of a whole update with respect to anything else (γ, a reward) is
complete.

Axes: B batch, E ensemble, K samples, A action.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxsac.sac.apply import Variables, apply
from jaxsac.sac.config import Scalar
from jaxsac.sac.distributions import TanhNormal, sample_and_log_prob
from jaxsac.sac.heads import Head
from jaxsac.sac.networks import Networks
from jaxsac.sac.state import Metrics, Trained
from jaxsac.types import Params, PyTree, Transition

Result = tuple[jax.Array, tuple[Metrics, Variables]]


class Sides(NamedTuple):
    """Of the soft Bellman equation, for a batch."""

    prediction: jax.Array
    """Of the critics in training at (s, a): (E, B, *head.shape)."""
    target: jax.Array
    """What they are to be: (B, *head.shape)."""
    collections: Variables
    """Of the critics, after this batch."""

    def errors(self, head: Head) -> jax.Array:
        """δ = y - Q(s, a) of each critic, in values: (E, B)."""
        return head.target_value(self.target) - head.value(self.prediction)


def critic_loss(
    params: Params,
    networks: Networks,
    critic: Trained,
    actor: Trained,
    alpha: jax.Array,
    gamma: jax.Array,
    batch: Transition,
    noise: jax.Array,
    key: jax.Array,
    weight: jax.Array | None = None,
) -> Result:
    """Soft Bellman residual, summed over the ensemble and averaged over the batch.

    J(θ) = Σ_i E[ ½ (Q_θi(s, a) - y)² ],
    y = r + γ d ( min_i Q_θ̄i(s', a') - α log π(a'|s') ), a' ~ π(·|s')

    with the choices of plain SAC. The minimum is `networks.target_pessimism`, where Q comes from is
    `networks.forward`, and what y and the distance to it are is `networks.head`.

    Args:
      params: θ, trained here.
      networks: the modules, and the choices.
      critic: the rest of the critics' node, with the slowly moving copy θ̄ where there is one.
      actor: φ.
      alpha: temperature, scalar.
      gamma: discount factor, scalar.
      batch: transitions (B, ...).
      noise: standard normal (B, A) for the next action.
      key: for networks that draw random numbers, and a pessimism that draws critics.
      weight: of each transition's distance, (B,); 1 by default.
    """
    prediction, target, collections = bellman(
        params, networks, critic, actor, alpha, gamma, batch, noise, key
    )
    loss, info = distance_to_target(networks.head, prediction, target, weight)
    return loss, (info, collections)


def bellman(
    params: Params,
    networks: Networks,
    critic: Trained,
    actor: Trained,
    alpha: jax.Array,
    gamma: Scalar,
    batch: Transition,
    noise: jax.Array,
    key: jax.Array,
) -> Sides:
    """Both sides of the soft Bellman equation, of which `critic_loss` is the distance."""
    head = networks.head
    next_policy = networks.policy(actor.variables, batch.next_observation)
    next_action, next_log_prob = sample_and_log_prob(noise, next_policy)
    forward_key, subset_key = jax.random.split(key)
    prediction, next_outputs, collections = networks.forward(
        networks.critic, params, critic, batch, next_action, forward_key
    )
    next_output = networks.target_pessimism(
        head, next_outputs, subset_key, networks.pessimism_settings
    )
    target = head.backup(batch.reward, gamma * batch.discount, next_output, alpha * next_log_prob)
    return Sides(prediction, target, collections)


def distance_to_target(
    head: Head, prediction: jax.Array, target: jax.Array, weight: jax.Array | None
) -> tuple[jax.Array, Metrics]:
    """The head's distance, and the means of prediction and target."""
    info = Metrics(
        target_mean=jnp.mean(head.target_value(target)), q_mean=jnp.mean(head.value(prediction))
    )
    return head.distance(prediction, target, weight), info


def actor_loss(
    params: Params,
    networks: Networks,
    actor: Trained,
    critic: Trained,
    alpha: jax.Array,
    observation: PyTree,
    noise: jax.Array,
    key: jax.Array,
    estimator: str = "total",
    company: PyTree = None,
) -> Result:
    """Policy objective, with a choice of how to estimate its gradient.

    J(φ) = E[ α log π_φ(a|s) - min_i Q_i(s, a) ], a = f_φ(ε; s)

    with the choices of plain SAC; the minimum is `networks.actor_pessimism`. φ enters log π_φ(a|s)
    twice, through the sample and through the density. Every estimator has the value of J and, in
    expectation over ε, its gradient; they differ in the places where φ is seen.

    Args:
      params: φ, trained here.
      networks: the modules, and the choices.
      actor: the rest of the actor's node.
      critic: θ.
      alpha: temperature, scalar.
      observation: states (B, ...).
      noise: ε, standard normal (K, B, A): K actions for every state.
      key: for networks that draw random numbers, and a pessimism that draws critics.
      estimator: a name in `ESTIMATORS`.
      company: further states (B', ...) that share a batch with those, for its statistics alone.
    """
    policy, collections = networks.policy_in_training(params, actor, observation, key, company)
    q = functools.partial(q_of_samples, networks, critic, observation, key)
    loss, log_prob = ESTIMATORS[estimator](policy, q, alpha, noise)
    return loss, (Metrics(entropy=-jnp.mean(log_prob)), collections)


def total(
    policy: TanhNormal, q: Callable[..., jax.Array], alpha: jax.Array, noise: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """φ is seen in both, which is the derivative of the sampled objective as it stands."""
    action, log_prob = sample_and_log_prob(noise, policy)
    return jnp.mean(alpha * log_prob - q(action)), log_prob


def path(
    policy: TanhNormal, q: Callable[..., jax.Array], alpha: jax.Array, noise: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """φ is seen in the sample alone.

    Dropped is the score term α ∇_φ log π_φ(a|s)|_a, whose expectation is zero.
    """
    action, log_prob = sample_and_log_prob(noise, policy, density=jax.lax.stop_gradient(policy))
    return jnp.mean(alpha * log_prob - q(action)), log_prob


def score(
    policy: TanhNormal, q: Callable[..., jax.Array], alpha: jax.Array, noise: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """φ is seen in the density alone: the likelihood ratio, with a baseline.

    ∇J ≈ (α log π - min_i Q_i - b(s)) ∇_φ log π_φ(a|s)|_a

    The baseline b(s) is the objective at the mode, a = tanh(mean): it does not depend on ε, so it
    takes away variance and leaves the expectation.
    """
    fixed = jax.lax.stop_gradient(policy)
    action, log_prob = sample_and_log_prob(noise, fixed, density=policy)
    fixed_log_prob = jax.lax.stop_gradient(log_prob)
    objective = alpha * fixed_log_prob - q(action)  # sees no φ: it is the weight of ∇ log π
    mode, mode_log_prob = sample_and_log_prob(jnp.zeros_like(noise[:1]), fixed)
    baseline = alpha * mode_log_prob - q(mode)
    # The last factor is zero in value.
    surrogate = objective + (objective - baseline) * (log_prob - fixed_log_prob)
    return jnp.mean(surrogate), log_prob


ESTIMATORS = {"total": total, "path": path, "score": score}
"""Of the actor's gradient, by `Config.actor_gradient`: (policy, q, α, ε) -> (J, log π).

`policy` is π_φ at each state (B, A); q maps actions (K, B, A) to what the actor climbs, (K, B).
"""


def q_of_samples(
    networks: Networks, critic: Trained, observation: PyTree, key: jax.Array, action: jax.Array
) -> jax.Array:
    """What the actor climbs, min_i Q_i(s, a), for K actions (K, B, A) of each state: (K, B)."""
    num_samples, batch_size, size = action.shape
    # One flat batch: networks see exactly one batch axis.
    observation = jax.tree.map(
        lambda x: jnp.tile(x, (num_samples, *(1,) * (x.ndim - 1))), observation
    )
    # Not the keys of the critics' own step, and not that of the actor.
    layer_key, subset_key = jax.random.split(jax.random.fold_in(key, 1))
    output = apply(
        networks.critic,
        critic.variables,
        observation,
        jnp.reshape(action, (-1, size)),
        key=layer_key,
    )
    head = networks.head
    output = networks.actor_pessimism(head, output, subset_key, networks.pessimism_settings)
    return jnp.reshape(head.value(output), (num_samples, batch_size))


def alpha_loss(
    log_alpha: jax.Array, entropy: jax.Array, target_entropy: jax.Array, name: str = "log_alpha"
) -> Result:
    """Temperature loss on log α: J(log α) = log α · (H(π) - H̄).

    Its gradient is the entropy gap itself, whatever α is, so a collapsed temperature recovers as
    fast as it fell. With α in place of log α, as the paper has it, the gradient is α
    times as large.

    Args:
      log_alpha: scalar, trained here.
      entropy: batch estimate of the policy's entropy in [-1, 1]^A, scalar.
      target_entropy: H̄, scalar.
      name: of the loss (`Config.alpha_loss`).
    """
    factor = log_alpha if name == "log_alpha" else jnp.exp(log_alpha)
    return factor * (entropy - target_entropy), (Metrics(), {})
