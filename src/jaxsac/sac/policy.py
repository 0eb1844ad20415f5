"""The actor's step, and the temperature's."""

from __future__ import annotations

from collections.abc import Callable

import jax

from jaxsac.sac.forward import ACTOR_FORWARDS
from jaxsac.sac.losses import actor_loss, alpha_loss
from jaxsac.sac.networks import Networks
from jaxsac.sac.optimize import assess, make_optimizer, minimize
from jaxsac.sac.randomness import Randomness
from jaxsac.sac.state import Metrics, State, Trained
from jaxsac.types import Transition


def learn(
    state: State,
    networks: Networks,
    batch: Transition,
    randomness: Randomness,
    weight: jax.Array | None,
    due: jax.Array | None = None,
) -> tuple[State, Metrics]:
    """A step of the actor against the critics, and one of the temperature, when they are due."""
    del weight  # corrects for how replay was drawn, which the policy's states need not follow
    config, hyper = state.config, state.hyperparameters

    def learn_by(step: Callable[..., tuple[Trained, Metrics]]) -> tuple[State, Metrics]:
        actor, info = step(
            "actor", actor_loss, make_optimizer("actor", config, hyper), state.actor,
            networks, state.actor, state.critic, state.alpha, batch.observation,
            randomness.action_noise, randomness.actor_key, config.actor_gradient,
            ACTOR_FORWARDS[config.actor_forward](batch),
        )  # fmt: skip
        temperature, alpha_info = step(
            "alpha", alpha_loss, make_optimizer("alpha", config, hyper), state.temperature,
            info["entropy"], hyper.target_entropy, config.alpha_loss,
        )  # fmt: skip
        return state.replace(actor=actor, temperature=temperature), Metrics(info, **alpha_info)

    due = is_due(state) if due is None else due
    if due is None:
        return learn_by(minimize)
    return jax.lax.cond(due, lambda: learn_by(minimize), lambda: learn_by(assess))


def is_due(state: State) -> jax.Array | None:
    """Whether the actor steps in the next update of an agent; None where it does in every one.

    Updates that were skipped count, so that agents which learn side by side stay in step.
    """
    every = state.config.actor_every
    return None if every == 1 else (state.step + state.skipped) % every == 0
