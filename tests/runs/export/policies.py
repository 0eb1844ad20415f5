"""Policies without a run: of any settings, with parameters and statistics far from their start."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

import jaxsac
from jaxsac.data import normalize
from jaxsac.envs.action_map import ActionMap
from jaxsac.runs.acting import acting_leaves
from jaxsac.runs.load import Policy
from jaxsac.runs.spaces import Spaces
from jaxsac.training import learner

NESTED = {
    "position": jax.ShapeDtypeStruct((2,), np.float32),
    "image": jax.ShapeDtypeStruct((2, 2, 1), np.uint8),
    "parts": (jax.ShapeDtypeStruct((), np.float32), jax.ShapeDtypeStruct((3,), np.int8)),
}
FLAT = jax.ShapeDtypeStruct((5,), np.float32)
CONFIG = jaxsac.Config(hidden_sizes=(12, 12), batch_norm_epsilon=1e-3)
ASYMMETRIC = ActionMap(
    np.array([-1.0, 0.0, -0.4]), np.array([1.0, 3.0, 0.1]), (3,), np.dtype(np.float32)
)


def policy_of(config=CONFIG, observation=FLAT, action_map=ASYMMETRIC, normalized=False, **choices):
    config = dataclasses.replace(config, **choices)
    action = jax.ShapeDtypeStruct((action_map.size,), np.float32)
    key, *keys = jax.random.split(jax.random.key(0), 4)
    agent = jaxsac.init(key, observation, action, config)
    params = moved(agent.actor.params, keys[0], lambda x, noise: x + 0.3 * noise)
    stats = moved(agent.actor.collections, keys[1], statistics)
    agent = agent.replace(actor=agent.actor.replace(params=params, collections=stats))
    normalizer = ()
    if normalized:
        normalizer = tuple(
            normalize.Moments(
                jnp.int32(100), 3 + jnp.ones(m.mean.shape), 50 + 10 * jnp.ones(m.mean.shape)
            )
            for m in normalize.init(observation)
        )
    learned = jax.tree.map(np.asarray, learner.Policy(acting_leaves(agent), normalizer))
    settings = {"actor": "probe:Actor"}
    return Policy(learned, Spaces(observation, action, action_map), 300_000, settings)


def moved(tree, key, move):
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, max(len(leaves), 1))
    pairs = zip(leaves, keys, strict=False)
    return jax.tree.unflatten(
        structure, [move(x, jax.random.normal(k, x.shape)) for x, k in pairs]
    )


def statistics(x, noise):
    """Means of any sign and positive variances: both are positive here."""
    return x if jnp.issubdtype(x.dtype, jnp.integer) else x + 0.5 * jnp.abs(noise)
