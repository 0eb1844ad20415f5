# pyright: reportMissingImports=false
"""SBX: its own `SAC.update_critic`, `update_actor`, `update_temperature` and `SAC._train`."""

from __future__ import annotations

from typing import Any

import case
import jax
import jax.numpy as jnp
from jax_peer import (
    RECORDER,
    arrays,
    both_precisions,
    dense,
    noise,
    stack_networks,
    unstack_networks,
)
from sbx import SAC
from sbx.common.type_aliases import ReplayBufferSamplesNp
from spaces_alone import SpacesAlone


def main() -> None:
    facts = {"defaults": defaults(), "initial": initial(), **both_precisions(measure)}
    with jax.enable_x64(True):
        facts["updated"] = updated(case.make("float64"))
    case.write("sbx", ("sbx-rl", "jax", "flax", "optax", "tfp-nightly"), facts)


def defaults() -> dict[str, Any]:
    """What a user gets who sets nothing."""
    model = SAC("MlpPolicy", SpacesAlone())
    lr = model.lr_schedule(1)
    return {
        "hidden_sizes": model.policy.net_arch_pi, "actor_lr": lr,
        "critic_lr": model.qf_learning_rate, "alpha_lr": lr, "gamma": model.gamma,
        "tau": model.tau, "target_entropy": float(model.target_entropy),
        "initial_alpha": float(model.ent_coef.ent_coef_init), "batch_size": model.batch_size,
        "learning_starts": model.learning_starts, "replay_capacity": model.buffer_size,
    }  # fmt: skip


def initial() -> dict[str, Any]:
    model = SAC("MlpPolicy", SpacesAlone(17, 6), seed=0)
    return {
        "actor": case.spread([actor_network(model.policy.actor_state.params)]),
        "critic": case.spread(critic_networks(model.policy.qf_state.params)),
    }


def measure(the: case.Case) -> dict[str, Any]:
    """All losses and gradients at the weights of the case.

    TensorFlow Probability draws the noise as (A, B) and transposes it.
    """
    model = make(the)
    actor, qf, temperature = (
        state.replace(tx=RECORDER, opt_state=state.params)
        for state in (model.policy.actor_state, model.policy.qf_state, model.ent_coef_state)
    )
    batch = batch_of(model, the)
    with noise(the.next_noise.T):
        qf, (critic_loss, _), key = SAC.update_critic(
            actor, qf, temperature, batch.observations, batch.actions, batch.next_observations,
            batch.rewards, batch.dones, batch.discounts, jax.random.key(0),
        )  # fmt: skip
    with noise(the.noise.T):
        actor, _, actor_loss, _, entropy = SAC.update_actor(
            actor, qf, temperature, batch.observations, key
        )
    temperature, alpha_loss = SAC.update_temperature(model.target_entropy, temperature, entropy)
    return {
        "critic_loss": float(critic_loss),
        "actor_loss": float(actor_loss),
        "alpha_loss": float(alpha_loss),
        "critic_gradient": case.flat(critic_networks(qf.opt_state)),
        "actor_gradient": case.flat([actor_network(actor.opt_state)]),
        "alpha_gradient": case.flat([[temperature.opt_state["log_ent_coef"]]]),
    }


def updated(the: case.Case) -> dict[str, Any]:
    """The parameters after one update with the default optimizers."""
    model = make(the)
    # As `train` calls it: one gradient step, no delay of the policy.
    with noise(the.next_noise.T, the.noise.T):
        qf, actor, temperature, *_ = SAC._train(
            model.tau, model.target_entropy, 1, batch_of(model, the), 1, 0,
            model.policy.qf_state, model.policy.actor_state, model.ent_coef_state,
            jax.random.key(0),
        )  # fmt: skip
    return {
        "actor": case.flat([actor_network(actor.params)]),
        "critics": case.flat(critic_networks(qf.params)),
        "targets": case.flat(critic_networks(qf.target_params)),
        "log_alpha": float(temperature.params["log_ent_coef"]),
    }


def make(the: case.Case) -> SAC:
    """A model of default options with the weights of the case and fresh optimizers."""
    env = SpacesAlone(case.OBSERVATION_SIZE, case.ACTION_SIZE)
    model = SAC("MlpPolicy", env, policy_kwargs={"net_arch": list(case.HIDDEN_SIZES)})

    def given(state: Any, params: Any, **others: Any) -> Any:
        return state.replace(params=params, opt_state=state.tx.init(params), **others)

    policy = model.policy
    policy.actor_state = given(policy.actor_state, actor_params(the.actor))
    policy.qf_state = given(
        policy.qf_state, critic_params(the.critics), target_params=critic_params(the.targets)
    )
    model.ent_coef_state = given(model.ent_coef_state, {"log_ent_coef": jnp.asarray(the.log_alpha)})
    return model


def batch_of(model: SAC, the: case.Case) -> ReplayBufferSamplesNp:
    discounts = model.gamma * jnp.ones_like(jnp.asarray(the.reward))
    return ReplayBufferSamplesNp(
        the.observation, the.action, the.next_observation, the.terminated, the.reward, discounts
    )


def actor_params(network: case.Network) -> Any:
    layers = case.split_heads(network)
    return {"params": {f"Dense_{i}": dense(layer) for i, layer in enumerate(layers)}}


def actor_network(params: Any) -> case.Network:
    layers = params["params"]
    return case.join_heads([arrays(layers[f"Dense_{i}"]) for i in range(len(layers))])


def critic_params(networks: list[case.Network]) -> Any:
    return {"params": {"VmapContinuousCritic_0": stack_networks(networks)}}


def critic_networks(params: Any) -> list[case.Network]:
    return unstack_networks(params["params"]["VmapContinuousCritic_0"])


if __name__ == "__main__":
    main()
