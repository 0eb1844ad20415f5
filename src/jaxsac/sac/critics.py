"""The critics of SAC: an ensemble, and a slowly moving copy of it to bootstrap from.

`sac.value_network` has the same three functions for SAC as first published.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from jaxsac.sac.encoders import lend
from jaxsac.sac.losses import bellman, critic_loss
from jaxsac.sac.networks import Networks
from jaxsac.sac.optimize import make_optimizer, minimize
from jaxsac.sac.randomness import Randomness
from jaxsac.sac.state import Metrics, State, Trained
from jaxsac.types import Params, Transition


class TargetedCritics(Trained):
    """Critics, and θ̄, which follows them by Polyak averaging."""

    target_params: Params


def init(state: State, key: jax.Array) -> Trained:
    """The critics' node of a fresh agent: its ensemble, with targets where they are needed."""
    del key
    critic = state.critic
    if state.config.forward == "joint":
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
    config, hyper = state.config, state.hyperparameters
    critic, info = minimize(
        "critic", critic_loss, make_optimizer("critic", config, hyper), state.critic,
        networks, state.critic, state.actor, state.alpha, hyper.gamma, batch,
        randomness.next_action_noise, randomness.critic_key, weight,
    )  # fmt: skip
    if isinstance(critic, TargetedCritics):
        target_params = optax.incremental_update(critic.params, critic.target_params, hyper.tau)
        critic = critic.replace(target_params=target_params)
    return state.replace(critic=critic, actor=lend(state.actor, critic.params)), info


def td_errors(
    state: State, networks: Networks, batch: Transition, randomness: Randomness
) -> jax.Array:
    """How far each critic is from its target, (E, B)."""
    sides = bellman(
        state.critic.params, networks, state.critic, state.actor, state.alpha,
        state.hyperparameters.gamma, batch, randomness.next_action_noise, randomness.critic_key,
    )  # fmt: skip
    return sides.errors(networks.head)
