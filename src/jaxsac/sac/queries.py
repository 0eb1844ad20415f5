"""What a state can be asked: its values, its errors, and the terms of its actor's gradient."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxsac.sac import randomness
from jaxsac.sac.agent import critics_of
from jaxsac.sac.checks import check_batch_shapes, check_learner
from jaxsac.sac.forward import ACTOR_FORWARDS
from jaxsac.sac.gradients import GradientTerms, actor_gradient_terms
from jaxsac.sac.networks import make_networks
from jaxsac.sac.state import State
from jaxsac.types import PyTree, Spec, Transition, check_key, flatten_batch


@jax.jit
def q_values(state: State, observation: PyTree, action: jax.Array) -> jax.Array:
    """Q(s, a) of every critic.

    Args:
      state: the agent.
      observation: pytree of (..., *event) with any leading axes.
      action: (..., A) in [-1, 1], with the same leading axes.

    Returns:
      (E, ...), in the units of the rewards; of heads that are distributions the means.

    Raises:
      TypeError: what is no agent.
      ValueError: an agent without its critics, several in one state, or arrays of another structure
        or shape.
    """
    check_learner(state)
    spec = Spec.of((state.observation_spec.tree, state.action_spec.tree))
    batch_shape = spec.batch_shape("(observation, action)", (observation, action))
    q = make_networks(state.config, state.action_spec).q(
        state.critic.variables,
        flatten_batch(observation, batch_shape),
        flatten_batch(action, batch_shape),
    )
    return jnp.reshape(q, (q.shape[0], *batch_shape))


@jax.jit
def td_errors(state: State, batch: Transition, key: jax.Array) -> jax.Array:
    """How far each critic is from its target, such as the priorities of a replay are made of.

    δ_i = y - Q_θi(s, a), with the y of `update`'s critic loss: of a plain agent

    y = r + γ d ( min_i Q_θ̄i(s', a') - α log π(a'|s') ), a' ~ π(·|s')

    The noise, and the shift of images, are those that `update` draws from the same key. Where the
    actor comes first `update` asks the actor that it has just trained, and this function the one
    in `state`.

    Args:
      state: the agent.
      batch: transitions (B, ...).
      key: PRNG key.

    Returns:
      δ of each critic and transition, (E, B), in the units of the rewards; of heads that are
      distributions the difference of the means.

    Raises:
      TypeError, ValueError: as `update`.
    """
    check_batch_shapes(state, batch)
    check_key(key)
    networks = make_networks(state.config, state.action_spec)
    batch, random = randomness.draw(state, batch, key)
    return critics_of(state.config).td_errors(state, networks, batch, random)


@jax.jit
def gradient_terms(state: State, batch: Transition, key: jax.Array) -> GradientTerms:
    """The actor's gradient on a batch, split into score, entropy path and Q path.

    ∇J = α ∇_φ log π_φ(a|s)|_a + (α ∇_a log π_φ(a|s) - ∇_a Q(s, a)) ∇_φ f_φ(ε; s)

    The noise, and the shift of images, are those that `update` draws from the same key. This
    function differentiates through the critics in `state`, as `update` does where the actor comes
    first; otherwise `update` goes through those that it has just trained.

    Args:
      state: the agent.
      batch: transitions (B, ...).
      key: PRNG key.

    Returns:
      Four pytrees shaped like the actor's parameters, gradients of a loss to be minimized, means
      over the batch and over the `actor_samples` of each state.

    Raises:
      TypeError, ValueError: as `update`.
    """
    check_batch_shapes(state, batch)
    check_key(key)
    batch, random = randomness.draw(state, batch, key)
    return actor_gradient_terms(
        state.actor,
        make_networks(state.config, state.action_spec),
        state.critic,
        state.alpha,
        batch.observation,
        random.action_noise,
        random.actor_key,
        ACTOR_FORWARDS[state.config.actor_forward](batch),
    )
