"""Units that are dead, and how many directions the last hidden features have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from jaxsac.inspection.member import NO_CRITICS, Member
from jaxsac.inspection.section import Section, percent
from jaxsac.sac.encoders import encodes
from jaxsac.sac.layers import Body
from jaxsac.sac.networks import make_networks
from jaxsac.types import PyTree

ROWS = 2048
"""Of the batch that features are of, as Kumar et al. have it."""
DEAD, NARROW = 0.25, 0.1
KEPT = 0.99


def inspect(member: Member) -> Section:
    """Dead units of each hidden layer, and the effective rank of the last features."""
    if member.replay is None:
        return Section.without(f"features are of a batch of replay: {member.no_replay}")
    section, agent = Section(), member.agent
    networks = make_networks(agent.config, agent.action_spec)
    batch = member.drawn(ROWS)
    section.notes.append(
        f"Of {ROWS:,} transitions drawn from replay. srank is the smallest number of singular "
        "values of the last hidden features that hold 99 % of their sum (Kumar et al. 2021, "
        "arXiv:2010.14498)."
    )
    if encodes(agent.config.actor_settings, agent.observation_spec.tree):
        section.left_out.append("units of the encoder of images: the layers after it are counted.")
    if agent.config.activation != "relu":
        section.left_out.append(
            f"dead units: a unit of {agent.config.activation} is never 0 for all of a batch."
        )
    if agent.config.actor is not None:
        section.left_out.append("the actor: a network of your own has layers unknown here.")
    else:
        _network(section, "actor", member, networks.actor, agent.actor, batch.observation)
    if not member.whole:
        section.left_out.append(f"the critics: {NO_CRITICS}")
    elif agent.config.critic is not None:
        section.left_out.append("the critics: networks of your own have layers unknown here.")
    else:
        inputs = (batch.observation, batch.action)
        _network(section, "critic", member, networks.critic, agent.critic, *inputs)
    return section


def _network(
    section: Section, name: str, member: Member, module: nn.Module, trained: Any, *inputs: PyTree
) -> None:
    """Adds what one network shows."""
    layers, features = hidden(module, trained.variables, *inputs)
    numbers: dict[str, Any] = {}
    if member.agent.config.activation == "relu":
        dead = [dead_share(layer) for layer in layers]
        numbers["dead"] = dead
        for index, each in enumerate(dead):
            section.add(
                f"{name}, hidden layer {index + 1}: dead units", _each(each, percent),
                f"Below {percent(DEAD)}: a unit that is 0 for the whole batch learns nothing from "
                "it.", max(each) > DEAD,
            )  # fmt: skip
    rank, width = srank(features), features.shape[-1]
    numbers |= {"srank": rank, "width": width}
    section.add(
        f"{name}: srank of {width} features", _each(rank, str),
        f"Above {percent(NARROW)} of the features; a fall over training is a loss of capacity.",
        min(rank) < NARROW * width,
    )  # fmt: skip
    section.numbers[name] = numbers


def _each(values: list[Any], text: Any) -> str:
    """One value, or those of each critic."""
    return ", ".join(map(text, values))


def hidden(
    module: nn.Module, variables: Mapping[str, Any], *inputs: PyTree
) -> tuple[list[np.ndarray], np.ndarray]:
    """Activations of a default network's body on a batch.

    Args:
      module: actor or critics.
      variables: its parameters and collections.
      *inputs: what it takes, (B, ...).

    Returns:
      The outputs of the activation of each hidden layer, and what the output layer sees; each
      (E, B, units), E being 1 for an actor.
    """
    body = _captured(module, variables, inputs)
    shaped = [np.asarray(x).reshape(-1, *x.shape[-2:]) for x in body["activated"]]
    last = np.asarray(body["dense_input"][-1])
    return shaped, last.reshape(-1, *last.shape[-2:])


def _captured(module: nn.Module, variables: Mapping[str, Any], inputs: tuple[PyTree, ...]) -> Any:
    """What a body's activations returned and its dense layers were given, in the order of calls."""

    def keep(method: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        output = method(*args, **kwargs)
        if isinstance(context.module, Body):
            if context.method_name == "dense":
                context.module.sow("intermediates", "dense_input", args[0])
            if context.method_name == "activated":
                context.module.sow("intermediates", "activated", output)
        return output

    @jax.jit
    def run(variables: Any, inputs: Any) -> Any:
        with nn.intercept_methods(keep):
            return module.apply(variables, *inputs, mutable=["intermediates"])[1]

    (body,) = run(variables, inputs)["intermediates"].values()
    return body


def dead_share(activations: np.ndarray) -> list[float]:
    """The share of units of (E, B, units) that are 0 for all of the batch, for each of E."""
    return np.all(activations == 0, axis=1).mean(axis=-1).tolist()


def srank(features: np.ndarray) -> list[int]:
    """The effective rank of features (E, B, units), for each of E.

    The smallest k with Σ_{i≤k} σ_i ≥ 0.99 Σ_i σ_i, σ being the singular values, largest first; 0
    where all features are 0.
    """
    values = np.linalg.svd(np.asarray(features, np.float64), compute_uv=False)
    total = values.sum(axis=-1, keepdims=True)
    reached = np.cumsum(values, axis=-1) >= KEPT * total
    return np.where(total[:, 0] > 0, np.argmax(reached, axis=-1) + 1, 0).tolist()
