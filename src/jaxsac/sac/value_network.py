"""SAC as first published, with a state-value network (Haarnoja et al. 2018, arXiv:1801.01290).

V_ψ is trained towards the soft value of the policy, min_i Q_θi(s, a) - α log π(a|s), and the
critics bootstrap from V_ψ̄, a slowly moving copy of it; there are no target critics.

The paper fixes the temperature at 1 and scales the rewards. The same optimum, with Q in the units
of the rewards, has `Hyperparameters(alpha_lr=0, initial_alpha=1 / reward_scale)`. Any other
`alpha_lr` learns α as the second paper does.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxsac.sac import distributions
from jaxsac.sac.losses import CriticInfo, bellman_residual
from jaxsac.sac.networks import Networks, make_networks
from jaxsac.sac.optimize import Step, adam, minimize
from jaxsac.sac.state import State
from jaxsac.types import Params, PyTree, Transition


class ValueInfo(NamedTuple):
    value_mean: jax.Array


def value_loss(
    value_params: Params,
    networks: Networks,
    critic_params: Params,
    actor_params: Params,
    alpha: jax.Array,
    observation: PyTree,
    noise: jax.Array,
) -> tuple[jax.Array, ValueInfo]:
    """Squared distance to the soft value of the policy, averaged over the batch.

    J(ψ) = E[ ½ (V_ψ(s) - (min_i Q_θi(s, a) - α log π(a|s)))² ], a ~ π(·|s)

    Args:
      value_params: ψ, trained here.
      networks: the actor, critic and value modules.
      critic_params: θ.
      actor_params: φ.
      alpha: temperature, scalar.
      observation: states (B, ...).
      noise: standard normal (B, A) for the action.
    """
    policy = networks.policy(actor_params, observation)
    action, log_prob = distributions.sample_and_log_prob(noise, policy)
    q = jnp.min(networks.q(critic_params, observation, action), axis=0)
    value = networks.v(value_params, observation)
    error = value - (q - alpha * log_prob)
    return 0.5 * jnp.mean(error**2), ValueInfo(value_mean=jnp.mean(value))


def value_critic_loss(
    critic_params: Params,
    networks: Networks,
    target_value_params: Params,
    gamma: jax.Array,
    batch: Transition,
) -> tuple[jax.Array, CriticInfo]:
    """Soft Bellman residual, summed over the ensemble and averaged over the batch.

    J(θ) = Σ_i E[ ½ (Q_θi(s, a) - (r + γ d V_ψ̄(s')))² ]

    Args:
      critic_params: θ, trained here.
      networks: the critic and value modules.
      target_value_params: ψ̄, the slowly moving copy of ψ.
      gamma: discount factor, scalar.
      batch: transitions (B, ...).
    """
    next_value = networks.v(target_value_params, batch.next_observation)
    return bellman_residual(critic_params, networks, gamma, batch, next_value)


def add_value_network(key: jax.Array, state: State) -> State:
    """The same fresh agent with V_ψ and V_ψ̄ in the place of target critics."""
    nets = make_networks(state.config, state.action_spec)
    params = nets.value.init(key, state.observation_spec.zeros(1))["params"]
    return state.replace(
        target_critic_params=None,
        value_params=params,
        target_value_params=jax.tree.map(jnp.copy, params),
        value_opt_state=adam(state.hyperparameters.critic_lr).init(params),
    )


def learn_value_and_critics(
    state: State, nets: Networks, alpha: jax.Array, batch: Transition, noise: jax.Array
) -> tuple[State, Step, Step]:
    """A step of the value network, one of the critics, and the target value a little further.

    This is the order of the paper's algorithm 1, whose actor comes next. Its loss has the minimum
    of the critics, as the paper says; the code of its authors has the first critic there
    (haarnoja/sac, fba571f).
    """
    hyper = state.hyperparameters
    value = minimize(
        value_loss, adam(hyper.critic_lr), state.value_params, state.value_opt_state,
        nets, state.critic_params, state.actor_params, alpha, batch.observation, noise,
    )  # fmt: skip
    critic = minimize(
        value_critic_loss, adam(hyper.critic_lr), state.critic_params, state.critic_opt_state,
        nets, state.target_value_params, hyper.gamma, batch,
    )  # fmt: skip
    new_state = state.replace(
        value_params=value.params,
        value_opt_state=value.opt_state,
        critic_params=critic.params,
        critic_opt_state=critic.opt_state,
        target_value_params=optax.incremental_update(
            value.params, state.target_value_params, hyper.tau
        ),
    )
    return new_state, critic, value
