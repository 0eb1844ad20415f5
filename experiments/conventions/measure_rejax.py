# pyright: reportMissingImports=false
"""rejax: its own `SAC.update_critic`, `update_actor` and `update_alpha`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import case
import jax
import jax.numpy as jnp
from flax import struct
from flax.core import FrozenDict
from flax.training.train_state import TrainState
from gymnax.environments.spaces import Box
from jax_peer import (
    RECORDER,
    arrays,
    both_precisions,
    dense,
    noise,
    stack_networks,
    unstack_networks,
)
from rejax import SAC
from rejax.buffers import Minibatch


def main() -> None:
    facts = {"defaults": defaults(), "initial": initial(), **both_precisions(measure)}
    case.write("rejax", ("rejax", "jax", "flax", "optax", "distrax", "gymnax"), facts)


def make(observation_size: int, action_size: int, **options: Any) -> Any:
    """An algorithm whose environment has spaces and nothing else."""
    env = SimpleNamespace(
        default_params=None,
        action_space=lambda _: Box(-1.0, 1.0, (action_size,)),
        observation_space=lambda _: Box(-jnp.inf, jnp.inf, (observation_size,)),
    )
    return SAC.create(env=env, **options)


def defaults() -> dict[str, Any]:
    """What a user gets who sets nothing; initial α is that of `initialize_network_params`."""
    algorithm = make(case.OBSERVATION_SIZE, case.ACTION_SIZE)
    state = algorithm.initialize_network_params(jax.random.key(0))
    lr = algorithm.learning_rate
    return {
        "hidden_sizes": algorithm.actor.hidden_layer_sizes, "actor_lr": lr, "critic_lr": lr,
        "alpha_lr": lr, "gamma": algorithm.gamma, "tau": round(1 - algorithm.polyak, 12),
        "target_entropy": float(algorithm.target_entropy),
        "initial_alpha": float(jnp.exp(state["alpha_ts"].params["log_alpha"])),
        "batch_size": algorithm.batch_size, "learning_starts": algorithm.fill_buffer,
        "replay_capacity": algorithm.buffer_size,
    }  # fmt: skip


def initial() -> dict[str, Any]:
    state = make(17, 6, hidden_layer_sizes=(256, 256)).initialize_network_params(jax.random.key(0))
    return {
        "actor": case.spread([actor_network(state["actor_ts"].params)]),
        "critic": case.spread(critic_networks(state["critic_ts"].params)),
    }


class State(struct.PyTreeNode):
    """The part of rejax's state that its updates read."""

    rng: jax.Array
    actor_ts: TrainState
    critic_ts: TrainState
    alpha_ts: TrainState
    critic_target_params: Any


def measure(the: case.Case) -> dict[str, Any]:
    """All losses and gradients at the weights of the case."""
    algorithm = make(case.OBSERVATION_SIZE, case.ACTION_SIZE, hidden_layer_sizes=case.HIDDEN_SIZES)
    ts = State(
        rng=jax.random.key(0),
        actor_ts=train_state(actor_params(the.actor)),
        critic_ts=train_state(critic_params(the.critics)),
        alpha_ts=train_state(FrozenDict({"log_alpha": jnp.asarray(the.log_alpha)})),
        critic_target_params=critic_params(the.targets),
    )
    batch = Minibatch(
        obs=the.observation, action=the.action, reward=the.reward,
        next_obs=the.next_observation, done=the.terminated,
    )  # fmt: skip
    with recorded_losses() as losses:
        with noise(the.noise):
            ts, log_prob = algorithm.update_actor(ts, batch)
        with noise(the.next_noise):
            ts = algorithm.update_critic(ts, batch)
        ts = algorithm.update_alpha(ts, log_prob)
    actor_loss, critic_loss, alpha_loss = losses
    return {
        "critic_loss": critic_loss,
        "actor_loss": actor_loss,
        "alpha_loss": alpha_loss,
        "critic_gradient": case.flat(critic_networks(ts.critic_ts.opt_state)),
        "actor_gradient": case.flat([actor_network(ts.actor_ts.opt_state)]),
        "alpha_gradient": case.flat([[ts.alpha_ts.opt_state["log_alpha"]]]),
    }


def train_state(params: Any) -> TrainState:
    return TrainState.create(apply_fn=(), params=params, tx=RECORDER)


@contextmanager
def recorded_losses() -> Iterator[list[float]]:
    """The values of all that is differentiated: rejax itself throws them away."""
    losses: list[float] = []

    def grad(function: Callable[..., Any], has_aux: bool = False) -> Callable[..., Any]:
        def gradient(*args: Any) -> Any:
            value, result = jax.value_and_grad(function, has_aux=has_aux)(*args)
            losses.append(float(value[0] if has_aux else value))
            return (result, value[1]) if has_aux else result

        return gradient

    with mock.patch("jax.grad", grad):
        yield losses


def actor_params(network: case.Network) -> Any:
    *hidden, mean, log_std = case.split_heads(network)
    features = {f"Dense_{i}": dense(layer) for i, layer in enumerate(hidden)}
    heads = {"action_mean": dense(mean), "action_log_std": dense(log_std)}
    return {"params": {"features": features, **heads}}


def actor_network(params: Any) -> case.Network:
    layers = params["params"]
    hidden = [layers["features"][f"Dense_{i}"] for i in range(len(layers["features"]))]
    heads = (layers["action_mean"], layers["action_log_std"])
    return case.join_heads([arrays(layer) for layer in (*hidden, *heads)])


def critic_params(networks: list[case.Network]) -> Any:
    return {"params": stack_networks(networks)}


def critic_networks(params: Any) -> list[case.Network]:
    return unstack_networks(params["params"])


if __name__ == "__main__":
    main()
