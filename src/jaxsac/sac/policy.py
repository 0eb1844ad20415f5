"""The actor's step, and the temperature's."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxsac.sac.forward import ACTOR_FORWARDS
from jaxsac.sac.losses import actor_loss, alpha_loss
from jaxsac.sac.networks import Networks
from jaxsac.sac.optimize import make_optimizer, minimize
from jaxsac.sac.randomness import Randomness
from jaxsac.sac.state import Metrics, State
from jaxsac.types import Transition

METRICS = ("entropy", "actor_loss", "actor_gradient_norm", "alpha_loss", "alpha_gradient_norm")
"""What `learn` tells, in this order."""


def learn(
    state: State,
    networks: Networks,
    batch: Transition,
    randomness: Randomness,
    weight: jax.Array | None,
    due: jax.Array | None = None,
) -> tuple[State, Metrics]:
    """A step of the actor against the critics, and one of the temperature, when they are due.

    When they are not, nothing is computed and the metrics are 0.
    """
    del weight  # corrects for how replay was drawn, which the policy's states need not follow
    config, hyper = state.config, state.hyperparameters

    def take_steps() -> tuple[State, Metrics]:
        actor, info = minimize(
            "actor", actor_loss, make_optimizer("actor", config, hyper), state.actor,
            networks, state.actor, state.critic, state.alpha, batch.observation,
            randomness.action_noise, randomness.actor_key, config.actor_gradient,
            ACTOR_FORWARDS[config.actor_forward](batch),
        )  # fmt: skip
        temperature, alpha_info = minimize(
            "alpha", alpha_loss, make_optimizer("alpha", config, hyper), state.temperature,
            info["entropy"], hyper.target_entropy, config.alpha_loss,
        )  # fmt: skip
        return state.replace(actor=actor, temperature=temperature), Metrics(info, **alpha_info)

    if due is None:
        return take_steps()
    nothing = Metrics({name: jnp.zeros_like(state.alpha) for name in METRICS})
    return jax.lax.cond(due, take_steps, lambda: (state, nothing))


def without_rest(metrics: Metrics, due: jax.Array | None) -> Metrics:
    """The metrics of an update, with NaN for those of an actor that rested in it."""
    if due is None:
        return metrics
    own = {name: jnp.where(due, metrics[name], jnp.nan) for name in METRICS}
    return Metrics({**metrics, **own})


def is_due(state: State) -> jax.Array | None:
    """Whether the actor steps in the next update of an agent; None where it does in every one.

    Updates that were skipped count, so that agents which learn side by side stay in step.
    """
    every = state.config.actor_every
    return None if every == 1 else (state.step + state.skipped) % every == 0
