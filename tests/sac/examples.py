"""Small agents and batches, alike in every test so that compiled programs are shared.

Arrays have the default precision: float64 inside `jax.enable_x64(True)`.
"""

import dataclasses
import math
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

import jaxsac
from assertions import assert_identical as assert_identical
from jaxsac.sac import losses
from jaxsac.sac.networks import Networks
from jaxsac.sac.state import Trained

OBSERVATION_SIZE, ACTION_SIZE, BATCH_SIZE = 3, 2, 8
CONFIG = jaxsac.Config(hidden_sizes=(16, 16))
VALUE = jaxsac.Config(hidden_sizes=(16, 16), value_network=True)
# Large steps, so that a difference shows after one update.
FAST = jaxsac.Hyperparameters(
    actor_lr=0.01, critic_lr=0.02, alpha_lr=0.03, gamma=0.9, tau=0.1, initial_alpha=0.5
)


def config_with(**choices):
    return dataclasses.replace(CONFIG, **choices)


def make_agent(seed=0, config=CONFIG, **hyperparameters):
    return jaxsac.init(
        jax.random.key(seed),
        jnp.zeros(OBSERVATION_SIZE),
        jnp.zeros(ACTION_SIZE),
        config,
        FAST.replace(**hyperparameters),
    )


def make_batch(seed=0, size=BATCH_SIZE):
    rng = np.random.default_rng(seed)
    batch = jaxsac.Transition(
        observation=rng.normal(size=(size, OBSERVATION_SIZE)),
        action=rng.uniform(-1, 1, size=(size, ACTION_SIZE)),
        reward=rng.normal(size=size),
        discount=(rng.uniform(size=size) < 0.6).astype(float),
        next_observation=rng.normal(size=(size, OBSERVATION_SIZE)),
    )
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.zeros(()).dtype), batch)


def noise_of(key, num_samples=1):
    """The noise of an update: for the action in the target, then (K, B, A) for the actor."""
    noise = jax.random.normal(key, (1 + num_samples, BATCH_SIZE, ACTION_SIZE))
    return np.asarray(noise[0]), np.asarray(noise[1:])


def stack(trees):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def member(tree, k):
    return jax.tree.map(lambda leaf: leaf[k], tree)


def assert_close(actual, expected, rtol, atol):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for (path, a), b in zip(
        jax.tree.leaves_with_path(actual), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=jax.tree_util.keystr(path))


def is_identical(a, b):
    return all(np.array_equal(x, y) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))


def constant(value):
    """A network whose output is its parameters, whatever its input."""
    return module(lambda variables, *inputs: value(variables["params"], *inputs))


def module(apply):
    """What losses need of a module without collections."""

    def apply_module(variables, *inputs, rngs, mutable=False):
        output = apply(variables, *inputs)
        return output if mutable is False else (output, {})

    return SimpleNamespace(apply=apply_module)


def of(params):
    """The node of a network that is not trained."""
    return Trained(params, (), {})


UNUSED_KEY = jax.random.key(0)
"""For networks that draw no numbers."""


def actor_loss(params, networks, critic_params, alpha, observation, noise, estimator="total"):
    loss, (info, _) = losses.actor_loss(
        params, networks, of(params), of(critic_params), alpha, observation, noise, UNUSED_KEY,
        estimator,
    )  # fmt: skip
    return loss, info


CONSTANTS = Networks(
    actor=constant(lambda p, s: (jnp.full((len(s), 1), p[0]), jnp.full((len(s), 1), p[1]))),
    critic=constant(lambda p, s, a: jnp.tile(p[:, None], (1, len(s)))),
)
MEAN, LOG_STD, ALPHA, GAMMA, REWARD = 0.3, -1.0, 0.2, 0.9, 5.0
ACTOR_PARAMS = jnp.array([MEAN, LOG_STD])


def log_prob_at_the_mean():
    return -LOG_STD - math.log(2 * math.pi) / 2 - math.log(1 - math.tanh(MEAN) ** 2)


def constant_batch(discount, size=4):
    one = jnp.ones(size)
    column = one[:, None]
    return jaxsac.Transition(column, column, REWARD * one, discount * one, column)
