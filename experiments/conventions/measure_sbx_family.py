# pyright: reportMissingImports=false
"""SBX's TQC, CrossQ, DroQ and SimBa: its own updates on the cases of the family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import case
import family_case
import jax
import jax.numpy as jnp
from family_case import Case, Layer, Network
from jax_peer import RECORDER, noise
from sbx import SAC, TQC, CrossQ
from sbx.common.type_aliases import ReplayBufferSamplesNp
from spaces_alone import SpacesAlone

SIZES = [family_case.WIDTH] * 2
MODELS: dict[str, Callable[[Any], Any]] = {
    "tqc": lambda env: TQC("MlpPolicy", env, policy_kwargs={"net_arch": SIZES}),
    "crossq": lambda env: CrossQ("MlpPolicy", env, policy_kwargs={"net_arch": SIZES}),
    "droq": lambda env: SAC(
        "MlpPolicy",
        env,
        policy_kwargs={"net_arch": SIZES, "dropout_rate": 0.01, "layer_norm": True},
    ),
    "simba": lambda env: SAC(
        "SimbaPolicy",
        env,
        policy_kwargs={
            "net_arch": {
                "pi": SIZES[: family_case.ACTOR_BLOCKS],
                "qf": SIZES[: family_case.CRITIC_BLOCKS],
            }
        },
    ),
}


def main() -> None:
    packages = ("sbx-rl", "jax", "flax", "optax", "tfp-nightly")
    for algorithm in family_case.ALGORITHMS:
        the = family_case.make(algorithm, "float32", warm=False)
        facts = {"as shipped": measure(algorithm, the)}
        with jax.enable_x64(True):
            the = family_case.make(algorithm, "float64")
            facts["double precision"] = measure(algorithm, the)
            facts["updated"] = updated(algorithm, the)
        case.write(f"sbx_{algorithm}", packages, facts)


def measure(algorithm: str, the: Case) -> dict[str, Any]:
    """Losses, gradients and batch statistics at the weights of the case."""
    model = make(algorithm, the)
    actor, temperature = (
        state.replace(tx=RECORDER, opt_state=state.params)
        for state in (model.policy.actor_state, model.ent_coef_state)
    )
    critics = [state.replace(tx=RECORDER, opt_state=state.params) for state in states(model)]
    first = [model.policy.n_target_quantiles] if algorithm == "tqc" else []
    batch, key = batch_of(model, the), jax.random.key(0)
    with noise(the.next_noise.T, kept=the.kept[:4]):
        found, losses, _ = type(model).update_critic(
            *first, actor, *critics, temperature, batch.observations, batch.actions,
            batch.next_observations, batch.rewards, batch.dones, batch.discounts, key,
        )  # fmt: skip
    critics = list(found) if algorithm == "tqc" else [found]
    with noise(the.noise.T, kept=the.kept[4:]):
        actor, _, actor_loss, _, entropy = type(model).update_actor(
            actor, *critics, temperature, batch.observations, key
        )
    temperature, alpha_loss = type(model).update_temperature(
        model.target_entropy, temperature, entropy
    )
    gradients = critic_networks(the, critics, lambda state: state.opt_state)
    actor_gradient = actor_network(the, actor, actor.opt_state)
    return {
        "critic_loss": float(sum(losses[:-1])),
        "actor_loss": float(actor_loss),
        "alpha_loss": float(alpha_loss),
        "critic_gradient": family_case.flat(gradients),
        "actor_gradient": family_case.flat([actor_gradient]),
        "alpha_gradient": [float(temperature.opt_state["log_ent_coef"])],
        "statistics": family_case.flat([actor_gradient, *gradients], "statistics"),
    }


def updated(algorithm: str, the: Case) -> dict[str, Any]:
    """The parameters after one update with the default optimizers."""
    model = make(algorithm, the)
    targets = [] if algorithm == "crossq" else [model.tau]
    quantiles = [model.policy.n_target_quantiles] if algorithm == "tqc" else []
    with noise(the.next_noise.T, the.noise.T, kept=the.kept):
        *critics, actor, temperature, _, _ = type(model)._train(
            *targets, model.target_entropy, 1, *quantiles, batch_of(model, the), 1, 0,
            *states(model), model.policy.actor_state, model.ent_coef_state, jax.random.key(0),
        )  # fmt: skip
    facts = {
        "actor": family_case.flat([actor_network(the, actor, actor.params)]),
        "critics": family_case.flat(critic_networks(the, critics, lambda state: state.params)),
        "log_alpha": float(temperature.params["log_ent_coef"]),
    }
    if the.targets:
        moved = critic_networks(the, critics, lambda state: state.target_params)
        facts["targets"] = family_case.flat(moved)
    return facts


def make(algorithm: str, the: Case) -> Any:
    """A model of default options with the weights of the case and fresh optimizers."""
    model = MODELS[algorithm](SpacesAlone(case.OBSERVATION_SIZE, case.ACTION_SIZE))

    def given(state: Any, networks: list[Network], scope: str | None, targets: Any = None) -> Any:
        params, statistics = variables(the, networks, scope)
        others = {"batch_stats": statistics} if hasattr(state, "batch_stats") else {}
        if targets:
            others["target_params"] = {"params": variables(the, targets, scope)[0]}
        params = params if hasattr(state, "batch_stats") else {"params": params}
        return state.replace(params=params, opt_state=state.tx.init(params), **others)

    policy = model.policy
    policy.actor_state = given(policy.actor_state, [the.actor], None)
    if algorithm == "tqc":
        policy.qf1_state = given(policy.qf1_state, the.critics[:1], None, the.targets[:1])
        policy.qf2_state = given(policy.qf2_state, the.critics[1:], None, the.targets[1:])
    else:
        (scope,) = inside(policy.qf_state.params)
        policy.qf_state = given(policy.qf_state, the.critics, scope, the.targets)
    model.ent_coef_state = model.ent_coef_state.replace(
        params={"log_ent_coef": jnp.asarray(the.log_alpha)},
        opt_state=model.ent_coef_state.tx.init({"log_ent_coef": jnp.asarray(the.log_alpha)}),
    )
    return model


def states(model: Any) -> list[Any]:
    """The states of its critics."""
    policy = model.policy
    names = ("qf1_state", "qf2_state") if hasattr(policy, "qf1_state") else ("qf_state",)
    return [getattr(policy, name) for name in names]


def batch_of(model: Any, the: Case) -> ReplayBufferSamplesNp:
    discounts = model.gamma * jnp.ones_like(jnp.asarray(the.reward))
    return ReplayBufferSamplesNp(
        the.observation, the.action, the.next_observation, the.terminated, the.reward, discounts
    )


def variables(the: Case, networks: list[Network], scope: str | None) -> tuple[Any, Any]:
    """Parameters and statistics as SBX has them; stacked in `scope` where there is one."""
    trees = [(named(the, net, "params"), named(the, net, "statistics")) for net in networks]
    if scope is None:
        return trees[0]
    params, statistics = jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
    return {scope: params}, {scope: statistics}


def named(the: Case, network: Network, part: str) -> dict[str, Any]:
    """Layers under SBX's names."""
    tree: dict[str, Any] = {}
    for path, layer in zip(paths(the, network), network, strict=True):
        arrays = {key: jnp.asarray(value) for key, value in getattr(layer, part).items()}
        if not arrays:
            continue
        if part == "statistics":
            arrays |= {"r_max": jnp.asarray(3), "d_max": jnp.asarray(5)}
        at = tree
        for name in path[:-1]:
            at = at.setdefault(name, {})
        at[path[-1]] = arrays
    return tree


def paths(the: Case, network: Network) -> list[tuple[str, ...]]:
    """Where SBX has each layer; the blocks of its SimBa are modules."""
    if the.algorithm != "simba":
        return [(name,) for name in family_case.by_name(network)]
    blocks, heads = (
        (family_case.ACTOR_BLOCKS, 2) if network is the.actor else (family_case.CRITIC_BLOCKS, 1)
    )
    inside_blocks = [
        (f"SimbaResidualBlock_{block}", name)
        for block in range(blocks)
        for name in ("LayerNorm_0", "Dense_0", "Dense_1")
    ]
    last = [(f"Dense_{number + 1}",) for number in range(heads)]
    return [("Dense_0",), *inside_blocks, ("LayerNorm_0",), *last]


def inside(params: Any) -> Any:
    return params.get("params", params)


def read(the: Case, network: Network, params: Any, statistics: Any) -> Network:
    """A network of the case with SBX's numbers."""
    found = []
    for path, layer in zip(paths(the, network), network, strict=True):
        at, also = params, statistics
        for name in path:
            at = at[name]
            also = also.get(name, {})
        found.append(
            Layer(
                layer.kind,
                {key: at[key] for key in layer.params},
                {key: also[key] for key in layer.statistics},
            )
        )
    return found


def actor_network(the: Case, state: Any, params: Any) -> Network:
    return read(the, the.actor, inside(params), getattr(state, "batch_stats", {}))


def critic_networks(the: Case, found: list[Any], pick: Callable[[Any], Any]) -> list[Network]:
    """The critics with the numbers that `pick` takes of their states."""
    networks = []
    for k, network in enumerate(the.critics):
        state = found[k % len(found)]
        params, statistics = inside(pick(state)), getattr(state, "batch_stats", {})
        if len(found) == 1:
            (scope,) = params
            params = jax.tree.map(lambda x, k=k: x[k], params[scope])
            statistics = jax.tree.map(lambda x, k=k: x[k], statistics.get(scope, {}))
        networks.append(read(the, network, params, statistics))
    return networks


if __name__ == "__main__":
    main()
