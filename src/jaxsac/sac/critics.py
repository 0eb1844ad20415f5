"""The critics of SAC: an ensemble, and a slowly moving copy of it to bootstrap from.

`sac.value_network` has the same two functions for SAC as first published.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from jaxsac.sac.config import Config, Hyperparameters
from jaxsac.sac.losses import critic_loss
from jaxsac.sac.networks import Networks
from jaxsac.sac.optimize import minimize, network_optimizer
from jaxsac.sac.randomness import Randomness
from jaxsac.sac.state import Metrics, State, Trained
from jaxsac.types import Params, Spec, Transition


class TargetedCritics(Trained):
    """Critics, and θ̄, which follows them by Polyak averaging."""

    target_params: Params


def init(
    key: jax.Array,
    critic: Trained,
    config: Config,
    hyperparameters: Hyperparameters,
    observation_spec: Spec,
    action_spec: Spec,
) -> Trained:
    """The critics' node before the first update.

    Args:
      key: for what else has initial weights: nothing here.
      critic: the ensemble.
      config: static structure; `forward` says whether there are targets.
      hyperparameters: floats or scalar arrays.
      observation_spec: of one observation.
      action_spec: of one action.
    """
    del key, hyperparameters, observation_spec, action_spec
    if config.forward == "joint":
        return critic
    return TargetedCritics(**vars(critic), target_params=jax.tree.map(jnp.copy, critic.params))


def learn(
    state: State,
    networks: Networks,
    batch: Transition,
    randomness: Randomness,
    weight: jax.Array | None,
) -> tuple[State, Metrics]:
    """A step of the critics, and their targets a little further after them."""
    hyper = state.hyperparameters
    critic, info = minimize(
        "critic", critic_loss, network_optimizer(state.config, hyper.critic_lr), state.critic,
        networks, state.critic, state.actor, state.alpha, hyper.gamma, batch,
        randomness.next_action_noise, randomness.critic_key, weight,
    )  # fmt: skip
    if isinstance(critic, TargetedCritics):
        target_params = optax.incremental_update(critic.params, critic.target_params, hyper.tau)
        critic = critic.replace(target_params=target_params)
    return state.replace(critic=critic), info
