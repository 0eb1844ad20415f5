"""StableHLO: the policy as JAX has lowered it, for any batch and several platforms."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from jaxsac import packages
from jaxsac.envs.action_map import ActionMap
from jaxsac.runs.policies.load import Policy
from jaxsac.training import learner
from jaxsac.types import PyTree

ENDINGS = (".stablehlo", ".json")
PLATFORMS = ("cpu", "cuda", "tpu")


def encode(policy: Policy, facts: dict[str, Any]) -> dict[str, bytes]:
    """The files, by their endings: the program, and the facts.

    The program takes an observation with one leading axis of any length, in dicts and tuples as the
    policy does, and returns actions in the environment's units, in single precision where JAX has
    no other.

    Args:
      policy: with any actor.
      facts: JSON values.

    Raises:
      ValueError: the actor cannot be lowered for a batch of any size, or for a platform.
      ModuleNotFoundError: flatbuffers is not installed.
    """
    packages.load("the format stablehlo", "stablehlo", "flatbuffers")
    (batch,) = jax.export.symbolic_shape("batch")
    structs = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((batch, *x.shape), x.dtype), policy.observation_spec
    )

    def act(observation: PyTree) -> jax.Array:
        return _mapped(policy.action_map, learner.act(policy.learned, observation))

    try:
        exported = jax.export.export(jax.jit(act), platforms=PLATFORMS)(structs)
    except Exception as error:  # of the actor's own code, or of its lowering
        raise ValueError(
            f"the actor cannot be lowered for a batch of any size on {', '.join(PLATFORMS)}: "
            f"{error}"
        ) from error
    facts = {**facts, "platforms": PLATFORMS, "jax": jax.__version__}
    return {
        ".stablehlo": bytes(exported.serialize()),
        ".json": f"{json.dumps(facts, indent=2)}\n".encode(),
    }


def decode(files: dict[str, bytes]) -> Callable[[PyTree], np.ndarray]:
    """What acts by the program here; observations have one leading axis."""
    program = jax.jit(jax.export.deserialize(bytearray(files[".stablehlo"])).call)
    return lambda observation: np.asarray(program(observation))


def _mapped(action_map: ActionMap, action: jax.Array) -> jax.Array:
    """(B, A) in [-1, 1] in the environment's units (B, ...), as `ActionMap` maps, never beyond."""
    dtype = jax.dtypes.canonicalize_dtype(action_map.dtype)
    computed = jnp.promote_types(dtype, jnp.float32)
    center, half_width, low, high = (
        jnp.asarray(x, computed)
        for x in (
            (action_map.low + action_map.high) / 2, (action_map.high - action_map.low) / 2,
            action_map.low, action_map.high,
        )
    )  # fmt: skip
    mapped = jnp.clip(center + half_width * action, low, high)
    mapped = jnp.where(action >= 1, high, jnp.where(action <= -1, low, mapped))
    return jnp.reshape(mapped.astype(dtype), (action.shape[0], *action_map.shape))
