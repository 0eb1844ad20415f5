"""jaxsac's losses, gradients and updates on the cases of the family, by its presets."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any
from unittest import mock

import family_case
import jax
import jax.numpy as jnp
import ours
from family_case import Case, Layer, Network

import jaxsac
from jaxsac.sac.presets import ALGORITHMS

SBX_CHOICES: dict[str, dict[str, Any]] = {
    "tqc": {"num_critics": 2},
    "crossq": {},
    "droq": {"actor_pessimism": "minimum", "actor_every": 1},
    "simba": {"log_std_map": "clip", "log_std_min": -20.0, "target_entropy_scale": 1.0},
}
"""What SBX has otherwise than the presets, which follow the papers."""
SBX_NUMBERS: dict[str, dict[str, float]] = {
    "simba": {"actor_lr": 3e-4, "critic_lr": 3e-4, "alpha_lr": 3e-4, "weight_decay": 1e-4}
}
"""Likewise among the hyperparameters."""


def measure(the: Case) -> dict[str, Any]:
    """All losses, gradients and batch statistics, named as in the stored results."""
    with drops(the.kept):
        # Not the jitted function: its program may have been traced with other masks.
        steps, collections = jax.jit(lambda *inputs: ours._losses_and_gradients(*inputs))(
            agent_of(the), ours.batch_of(the), ours.randomness_of(the)
        )
    (critic, critic_gradient), (actor, actor_gradient), (alpha, alpha_gradient) = steps
    actor_net = actor_network(the, actor_gradient, collections[1])
    critic_nets = critic_networks(the, critic_gradient, collections[0])
    return {
        "critic_loss": float(critic),
        "actor_loss": float(actor),
        "alpha_loss": float(alpha),
        "critic_gradient": family_case.flat(critic_nets),
        "actor_gradient": family_case.flat([actor_net]),
        "alpha_gradient": [float(alpha_gradient)],
        "statistics": family_case.flat([actor_net, *critic_nets], "statistics"),
    }


def updated(the: Case) -> dict[str, Any]:
    """The parameters after one `jaxsac.update` with the noise of the case."""
    with drops(the.kept):
        state = ours.update(agent_of(the), ours.batch_of(the), ours.randomness_of(the))
    found = {
        "actor": family_case.flat([actor_network(the, state.actor.params)]),
        "critics": family_case.flat(critic_networks(the, state.critic.params)),
        "log_alpha": float(state.temperature.params),
    }
    if the.targets:
        found["targets"] = family_case.flat(critic_networks(the, state.critic.target_params))
    return found


def agent_of(the: Case) -> jaxsac.State:
    """The preset's agent, with what SBX has otherwise and with the weights of the case."""
    preset = ALGORITHMS[the.algorithm]
    width, blocks = family_case.WIDTH, the.algorithm == "simba"
    sizes = {
        "actor_hidden_sizes": (width,) * (family_case.ACTOR_BLOCKS if blocks else 2),
        "critic_hidden_sizes": (width,) * (family_case.CRITIC_BLOCKS if blocks else 2),
    }
    config = dataclasses.replace(preset.config, **sizes, **SBX_CHOICES[the.algorithm])
    hyperparameters = preset.hyperparameters.replace(**SBX_NUMBERS.get(the.algorithm, {}))
    state = jaxsac.init(
        jax.random.key(0), the.observation[0], the.action[0], config, hyperparameters
    )
    critics = stacked(the.critics)
    if the.targets:
        critic = state.critic.replace(target_params=scoped(state.critic, stacked(the.targets)[0]))
    else:
        critic = state.critic
    return state.replace(
        actor=given(state.actor, variables(joined(the.actor))),
        critic=given(critic, critics),
        temperature=state.temperature.replace(params=jnp.asarray(the.log_alpha)),
    )


@contextlib.contextmanager
def drops(kept: list[Any]) -> Iterator[None]:
    """Lets dropout leave these units, one mask for each layer that it is in."""
    masks = list(kept)
    if not masks:
        yield
        return

    def bernoulli(key: Any, p: Any = 0.5, shape: Any = ()) -> jax.Array:
        mask = jnp.asarray(masks.pop(0))
        assert mask.shape == tuple(shape)
        return mask

    with mock.patch("jax.random.bernoulli", bernoulli):
        yield
    assert not masks


def variables(network: Network) -> tuple[Any, Any]:
    """Parameters and statistics of a network under Flax's names."""
    named = family_case.by_name(network).items()
    params = {name: jax.tree.map(jnp.asarray, dict(layer.params)) for name, layer in named}
    statistics = {
        name: jax.tree.map(jnp.asarray, dict(layer.statistics))
        for name, layer in named
        if layer.statistics
    }
    return params, statistics


def stacked(networks: list[Network]) -> tuple[Any, Any]:
    """Likewise of an ensemble."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(variables, networks))


def given(node: Any, tree: tuple[Any, Any]) -> Any:
    """A node with other parameters and statistics."""
    params, statistics = (scoped(node, part) for part in tree)
    collections = {"batch_stats": statistics} if node.collections else {}
    return node.replace(params=params, collections=collections)


def scoped(node: Any, tree: Any) -> Any:
    """Inside the one module that a default network is."""
    (scope,) = node.params
    return {scope: tree}


def joined(actor: Network) -> Network:
    """An actor whose last layer has the means first and then the log standard deviations."""
    *hidden, mean, log_std = actor
    params = {
        key: jnp.concatenate([mean.params[key], log_std.params[key]], -1) for key in mean.params
    }
    return [*hidden, Layer("Dense", params)]


def actor_network(the: Case, params: Any, collections: Any = None) -> Network:
    """The layers of the case with jaxsac's numbers, its last one taken apart."""
    *hidden, last = read(joined(the.actor), params, collections)
    mean, log_std = (
        Layer("Dense", {key: part[number] for key, part in halves(last).items()})
        for number in range(2)
    )
    return [*hidden, mean, log_std]


def halves(layer: Layer) -> dict[str, Any]:
    """The means' and the log standard deviations' part of each array."""
    return {key: jnp.split(array, 2, axis=-1) for key, array in layer.params.items()}


def critic_networks(the: Case, params: Any, collections: Any = None) -> list[Network]:
    """The critics of the case with jaxsac's numbers."""
    return [
        read(network, *jax.tree.map(lambda x, k=k: x[k], (params, collections)))
        for k, network in enumerate(the.critics)
    ]


def read(network: Network, params: Any, collections: Any) -> Network:
    """A network with jaxsac's numbers; without collections, its statistics are left out."""
    (scope,) = params
    statistics = (collections or {}).get("batch_stats", {}).get(scope, {})
    return [
        Layer(
            layer.kind,
            {key: params[scope][name][key] for key in layer.params},
            {key: statistics[name][key] for key in layer.statistics} if statistics else {},
        )
        for name, layer in family_case.by_name(network).items()
    ]
