"""jaxsac's losses and gradients on the case, by the preset of a library."""

from __future__ import annotations

import dataclasses
from typing import Any
from unittest import mock

import case
import jax
import jax.numpy as jnp

import jaxsac
from jaxsac.sac import randomness
from jaxsac.sac.losses import actor_loss, alpha_loss, critic_loss
from jaxsac.sac.networks import make_networks
from jaxsac.sac.randomness import Randomness


def measure(name: Any, the: case.Case) -> dict[str, Any]:
    """All losses and gradients at the weights of the case, named as in the stored results."""
    steps, _ = losses_and_gradients(agent_of(name, the), batch_of(the), randomness_of(the))
    (critic, critic_gradient), (actor, actor_gradient), (alpha, alpha_gradient) = steps
    return {
        "critic_loss": float(critic),
        "actor_loss": float(actor),
        "alpha_loss": float(alpha),
        "critic_gradient": case.flat(critic_networks(critic_gradient)),
        "actor_gradient": case.flat([actor_network(actor_gradient)]),
        "alpha_gradient": [float(alpha_gradient)],
    }


def _losses_and_gradients(state: jaxsac.State, batch: jaxsac.Transition, random: Randomness) -> Any:
    networks, hyper = make_networks(state.config, state.action_spec), state.hyperparameters
    (critic, (_, critic_collections)), critic_gradient = jax.value_and_grad(
        critic_loss, has_aux=True
    )(
        state.critic.params, networks, state.critic, state.actor, state.alpha, hyper.gamma, batch,
        random.next_action_noise, random.critic_key,
    )  # fmt: skip
    seen = state.critic.replace(collections=critic_collections)
    (actor, (info, actor_collections)), actor_gradient = jax.value_and_grad(
        actor_loss, has_aux=True
    )(
        state.actor.params, networks, state.actor, seen, state.alpha, batch.observation,
        random.action_noise, random.actor_key,
    )  # fmt: skip
    (temperature, _), alpha_gradient = jax.value_and_grad(alpha_loss, has_aux=True)(
        state.temperature.params, info["entropy"], hyper.target_entropy, state.config.alpha_loss
    )
    steps = (critic, critic_gradient), (actor, actor_gradient), (temperature, alpha_gradient)
    return steps, (critic_collections, actor_collections)


losses_and_gradients = jax.jit(_losses_and_gradients)
"""Of a state on a batch: three pairs, and the collections of critics and actor after it."""


def updated(name: Any, the: case.Case) -> dict[str, Any]:
    """The parameters after one `jaxsac.update` with the noise of the case."""
    state = update(agent_of(name, the), batch_of(the), randomness_of(the))
    return {
        "actor": case.flat([actor_network(state.actor.params)]),
        "critics": case.flat(critic_networks(state.critic.params)),
        "targets": case.flat(critic_networks(state.critic.target_params)),
        "log_alpha": float(state.temperature.params),
    }


def update(state: jaxsac.State, batch: jaxsac.Transition, random: Randomness) -> Any:
    """The agent after one `jaxsac.update` with this noise."""
    # A trace of its own, or the noise would stay in the program that others use.
    original = jaxsac.update.__wrapped__  # pyright: ignore[reportAttributeAccessIssue]
    traced = jax.jit(lambda *arguments: original(*arguments))
    with mock.patch.object(randomness, "draw", lambda _state, batch, _key: (batch, random)):
        return traced(state, batch, jax.random.key(0))[0]


def initial(name: Any) -> dict[str, Any]:
    """How the preset's initial weights are spread, 17 observations and 6 actions, 256×256."""
    config = dataclasses.replace(jaxsac.preset(name).config, hidden_sizes=(256, 256))
    state = jaxsac.init(jax.random.key(0), jnp.zeros(17), jnp.zeros(6), config)
    return {
        "actor": case.spread([actor_network(state.actor.params)]),
        "critic": case.spread(critic_networks(state.critic.params)),
    }


def defaults(name: Any) -> dict[str, Any]:
    """The preset's numbers under the names of the stored results."""
    preset = jaxsac.preset(name)
    hyper = preset.hyperparameters
    return {
        "hidden_sizes": list(preset.config.hidden_sizes),
        "actor_lr": hyper.actor_lr, "critic_lr": hyper.critic_lr, "alpha_lr": hyper.alpha_lr,
        "gamma": hyper.gamma, "tau": hyper.tau,
        "target_entropy": -preset.config.target_entropy_scale * case.ACTION_SIZE,
        "initial_alpha": hyper.initial_alpha, "batch_size": preset.batch_size,
        "learning_starts": preset.learning_starts, "replay_capacity": preset.replay_capacity,
    }  # fmt: skip


def agent_of(name: Any, the: case.Case) -> jaxsac.State:
    """The preset's agent with the weights of the case; a fixed temperature stays the preset's."""
    preset = jaxsac.preset(name)
    config = dataclasses.replace(preset.config, hidden_sizes=case.HIDDEN_SIZES)
    state = jaxsac.init(
        jax.random.key(0), the.observation[0], the.action[0], config, preset.hyperparameters
    )
    actor = {"MLP_0": dense_layers(the.actor)}
    critics, targets = (
        {"VmapMLP_0": jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(dense_layers, nets))}
        for nets in (the.critics, the.targets)
    )
    temperature = state.temperature
    if preset.hyperparameters.alpha_lr:
        temperature = temperature.replace(params=jnp.asarray(the.log_alpha))
    return state.replace(
        actor=state.actor.replace(params=actor),
        critic=state.critic.replace(params=critics, target_params=targets),
        temperature=temperature,
    )


def randomness_of(the: Any) -> Randomness:
    """The noise of the case; the networks draw nothing else."""
    key = jax.random.key(0)
    return Randomness(jnp.asarray(the.next_noise), jnp.asarray(the.noise)[None], key, key)


def batch_of(the: Any) -> jaxsac.Transition:
    batch = jaxsac.Transition(
        the.observation, the.action, the.reward, 1 - the.terminated, the.next_observation
    )
    return jax.tree.map(jnp.asarray, batch)


def dense_layers(network: case.Network) -> Any:
    return {
        f"Dense_{i}": {"kernel": jnp.asarray(weight), "bias": jnp.asarray(bias)}
        for i, (weight, bias) in enumerate(zip(network[::2], network[1::2], strict=True))
    }


def actor_network(params: Any) -> case.Network:
    (layers,) = params.values()
    return [layers[f"Dense_{i}"][name] for i in range(len(layers)) for name in ("kernel", "bias")]


def critic_networks(params: Any) -> list[case.Network]:
    stacked = actor_network(params)
    return [[array[k] for array in stacked] for k in range(len(stacked[0]))]
