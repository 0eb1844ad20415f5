"""Learns with sixteen learning rates at once: one program, in which each has its own seed.

Hyperparameters are leaves of the state, so `jax.vmap` takes states that differ in them.

    python examples/learning_rates.py --steps 4000
"""

import argparse

import jax
import jax.numpy as jnp

import jaxsac

CONFIG = jaxsac.Config(hidden_sizes=(32, 32))
X, ACTION = jnp.zeros(1), jnp.zeros(1)


def move(x, action):
    """A point on a line, to be steered to 0; a push costs a little."""
    next_x = jnp.clip(x + 0.5 * action, -2, 2)
    return next_x, -jnp.sum(next_x**2) - 0.01 * jnp.sum(action**2)


def train(key, learning_rate, steps):
    """The rewards (steps,) of an agent that learns with this rate."""

    def interact(carry, key):
        state, buffer, x = carry
        act_key, sample_key, update_key, reset_key, start_key = jax.random.split(key, 5)
        action = jaxsac.act(state, x, act_key)
        next_x, reward = move(x, action)
        row = jaxsac.Transition(x, action, reward, jnp.ones(()), next_x)
        buffer = jaxsac.replay.add(buffer, jax.tree.map(lambda leaf: leaf[None], row))
        batch = jaxsac.replay.sample(buffer, sample_key, 32)
        state, _ = jaxsac.update(state, batch, update_key)
        start = jax.random.uniform(start_key, (1,), minval=-2, maxval=2)
        x = jnp.where(jax.random.bernoulli(reset_key, 0.1), start, next_x)
        return (state, buffer, x), reward

    init_key, loop_key = jax.random.split(key)
    hyperparameters = jaxsac.Hyperparameters(
        actor_lr=learning_rate, critic_lr=learning_rate, alpha_lr=learning_rate, gamma=0.9
    )
    state = jaxsac.init(init_key, X, ACTION, CONFIG, hyperparameters)
    buffer = jaxsac.replay.init(10_000, jaxsac.Transition(X, ACTION, 0.0, 0.0, X))
    return jax.lax.scan(interact, (state, buffer, X), jax.random.split(loop_key, steps))[1]


parser = argparse.ArgumentParser(description="Learn with sixteen learning rates at once.")
parser.add_argument("--steps", type=int, default=4_000)
args = parser.parse_args()

rates = jnp.logspace(-5, 0, 16)
keys = jax.random.split(jax.random.key(0), len(rates))
rewards = jax.jit(jax.vmap(lambda key, rate: train(key, rate, args.steps)))(keys, rates)
print("learning rate  mean reward, last quarter")
for rate, reward in zip(rates, rewards[:, -args.steps // 4 :].mean(axis=1), strict=True):
    print(f"{rate:13.1e}  {reward:8.3f}")
