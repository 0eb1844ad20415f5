"""How networks look at both ends of a transition, (s, a) and (s', a').

Choices of `Config.forward`, which the critics' loss calls by name, and of `Config.actor_forward`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxsac.sac.apply import Variables, apply, apply_in_training
from jaxsac.types import Params, PyTree, Transition

ForwardName = Literal["apart", "joint", "joint_with_targets"]
ActorForwardName = Literal["apart", "joint"]


class Outputs(NamedTuple):
    """What the critics said of a batch; E critics, B transitions."""

    prediction: jax.Array
    """Of (s, a), to be trained: (E, B, *head.shape)."""
    next: jax.Array
    """Of (s', a'), to be trained towards: (E, B, *head.shape)."""
    collections: Variables
    """Of the trained critics, after this batch."""


Forward = Callable[[Any, Params, Any, Transition, jax.Array, jax.Array], Outputs]
"""(module, params, critics' node, batch, a', key) -> Outputs."""


def apart(
    module: Any,
    params: Params,
    critic: Any,
    batch: Transition,
    next_action: jax.Array,
    key: jax.Array,
) -> Outputs:
    """Q_θ(s, a) by the critics in training, Q_θ̄(s', a') by their slowly moving copy θ̄."""
    online, target = ({"params": p, **critic.collections} for p in (params, critic.target_params))
    next_key, key = jax.random.split(key)
    next_output = apply(module, target, batch.next_observation, next_action, key=next_key)
    prediction, collections = apply_in_training(
        module, online, key, batch.observation, batch.action
    )
    return Outputs(prediction, next_output, collections)


def joint(
    module: Any,
    params: Params,
    critic: Any,
    batch: Transition,
    next_action: jax.Array,
    key: jax.Array,
) -> Outputs:
    """Both by the critics in training, as one batch and without targets (CrossQ, 1902.05605).

    A network with batch statistics then sees the actions of replay and those of the policy in the
    same proportion. The half of (s', a') is not differentiated.
    """
    variables = {"params": params, **critic.collections}
    output, collections = apply_in_training(module, variables, key, *_joined(batch, next_action))
    prediction, next_output = jnp.split(output, 2, axis=1)
    return Outputs(prediction, jax.lax.stop_gradient(next_output), collections)


def joint_with_targets(
    module: Any,
    params: Params,
    critic: Any,
    batch: Transition,
    next_action: jax.Array,
    key: jax.Array,
) -> Outputs:
    """Both halves in one batch, by the critics in training and once more by their copy θ̄.

    Of the former (s, a) is kept, of the latter (s', a'). The targets normalize by that batch too:
    they have no running statistics (FlashSAC, arXiv:2604.04539).
    """
    online, target = ({"params": p, **critic.collections} for p in (params, critic.target_params))
    next_key, key = jax.random.split(key)
    inputs = _joined(batch, next_action)
    next_output, _ = apply_in_training(module, target, next_key, *inputs)
    output, collections = apply_in_training(module, online, key, *inputs)
    size = len(next_action)
    return Outputs(output[:, :size], next_output[:, size:], collections)


FORWARDS: dict[ForwardName, Forward] = {
    "apart": apart,
    "joint": joint,
    "joint_with_targets": joint_with_targets,
}

ACTOR_FORWARDS: dict[ActorForwardName, Callable[[Transition], PyTree]] = {
    "apart": lambda batch: None,
    "joint": lambda batch: batch.next_observation,
}
"""The states that share a batch with those of the actor's loss, (B, ...): none, or the next ones.

They matter to batch statistics alone.
"""


def _joined(batch: Transition, next_action: jax.Array) -> tuple[PyTree, jax.Array]:
    """(s, a) and then (s', a') as one batch."""
    observation = concatenated(batch.observation, batch.next_observation)
    return observation, jnp.concatenate([batch.action, next_action])


def concatenated(*batches: PyTree) -> PyTree:
    """Batches of observations one after the other."""
    return jax.tree.map(lambda *x: jnp.concatenate(x), *batches)
