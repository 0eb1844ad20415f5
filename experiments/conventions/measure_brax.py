# pyright: reportMissingImports=false
"""Brax: its own `make_losses`."""

from __future__ import annotations

import inspect
from typing import Any

import case
import jax
import jax.numpy as jnp
from brax.training.agents.sac import train
from brax.training.agents.sac.losses import make_losses
from brax.training.agents.sac.networks import make_sac_networks
from brax.training.types import Transition
from jax_peer import arrays, both_precisions, dense, noise, pairs

OPTIONS = {
    name: option.default for name, option in inspect.signature(train.train).parameters.items()
}
NETWORKS = make_sac_networks(
    case.OBSERVATION_SIZE, case.ACTION_SIZE, hidden_layer_sizes=case.HIDDEN_SIZES
)


def main() -> None:
    facts = {"defaults": defaults(), "initial": initial(), **both_precisions(measure)}
    case.write("brax", ("brax", "jax", "flax", "optax"), facts)


def defaults() -> dict[str, Any]:
    """The defaults of `train` and `make_sac_networks`; what has no option is not listed."""
    lr = OPTIONS["learning_rate"]
    sizes = inspect.signature(make_sac_networks).parameters["hidden_layer_sizes"].default
    return {
        "hidden_sizes": sizes, "actor_lr": lr, "critic_lr": lr, "gamma": OPTIONS["discounting"],
        "tau": OPTIONS["tau"], "batch_size": OPTIONS["batch_size"],
        "learning_starts": OPTIONS["min_replay_size"],
        "replay_capacity": OPTIONS["max_replay_size"],
    }  # fmt: skip


def initial() -> dict[str, Any]:
    networks = make_sac_networks(17, 6)
    actor_key, critic_key = jax.random.split(jax.random.key(0))
    return {
        "actor": case.spread([actor_network(networks.policy_network.init(actor_key))]),
        "critic": case.spread(critic_networks(networks.q_network.init(critic_key))),
    }


def measure(the: case.Case) -> dict[str, Any]:
    """All losses and gradients at the weights of the case."""
    alpha_loss, critic_loss, actor_loss = make_losses(
        NETWORKS, OPTIONS["reward_scaling"], OPTIONS["discounting"], case.ACTION_SIZE
    )
    batch = Transition(
        observation=the.observation, action=the.action, reward=the.reward,
        discount=1 - the.terminated, next_observation=the.next_observation,
        extras={"state_extras": {"truncation": 0 * the.reward}},
    )  # fmt: skip
    key, log_alpha = jax.random.key(0), jnp.asarray(the.log_alpha)
    actor, critics, targets = (
        actor_params(the.actor), critic_params(the.critics), critic_params(the.targets)
    )  # fmt: skip
    with noise(the.next_noise):
        critic = jax.value_and_grad(critic_loss)(
            critics, actor, None, targets, jnp.exp(log_alpha), batch, key
        )
    with noise(the.noise):
        policy = jax.value_and_grad(actor_loss)(
            actor, None, critics, jnp.exp(log_alpha), batch, key
        )
    with noise(the.noise):
        temperature = jax.value_and_grad(alpha_loss)(log_alpha, actor, None, batch, key)
    return {
        "critic_loss": float(critic[0]),
        "actor_loss": float(policy[0]),
        "alpha_loss": float(temperature[0]),
        "critic_gradient": case.flat(critic_networks(critic[1])),
        "actor_gradient": case.flat([actor_network(policy[1])]),
        "alpha_gradient": case.flat([[temperature[1]]]),
    }


def actor_params(network: case.Network) -> Any:
    return {"params": mlp(network)}


def actor_network(params: Any) -> case.Network:
    return layers_of(params["params"])


def critic_params(networks: list[case.Network]) -> Any:
    return {"params": {f"MLP_{k}": mlp(network) for k, network in enumerate(networks)}}


def critic_networks(params: Any) -> list[case.Network]:
    return [layers_of(params["params"][f"MLP_{k}"]) for k in (0, 1)]


def mlp(network: case.Network) -> Any:
    return {f"hidden_{i}": dense(layer) for i, layer in enumerate(pairs(network))}


def layers_of(params: Any) -> case.Network:
    return arrays(*(params[f"hidden_{i}"] for i in range(len(params))))


if __name__ == "__main__":
    main()
