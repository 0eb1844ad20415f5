"""Measures how noisy each term of the actor's gradient is while an agent learns.

The mean of the score term is zero, its variance is not: this prints the size of the whole gradient
and its standard deviation over draws of the noise, with the score term and without it.

    python examples/gradient_noise.py --updates 2000
"""

import argparse

import jax
import jax.numpy as jnp

import jaxsac


def spread(tree):
    """The root of the summed variance of all parameters, over the leading axis."""
    return jnp.sqrt(sum(jnp.sum(jnp.var(leaf, axis=0)) for leaf in jax.tree.leaves(tree)))


def size(tree):
    """The norm of the mean over the leading axis."""
    return jnp.sqrt(sum(jnp.sum(jnp.mean(leaf, axis=0) ** 2) for leaf in jax.tree.leaves(tree)))


@jax.jit
def measure(state, batch, key):
    """Size of the total gradient, spread of it, and spread of its pathwise part."""
    keys = jax.random.split(key, 256)
    terms = jax.vmap(jaxsac.gradient_terms, in_axes=(None, None, 0))(state, batch, keys)
    path = jax.tree.map(jnp.add, terms.entropy_path, terms.q_path)
    return size(terms.total), spread(terms.total), spread(path)


@jax.jit
def learn(state, key):
    """One update, and the batch that it learned from: steer a point on a line to 0."""
    x_key, action_key, update_key = jax.random.split(key, 3)
    x = jax.random.uniform(x_key, (128, 1), minval=-2, maxval=2)
    action, _ = jaxsac.sample(state, x, action_key)
    next_x = jnp.clip(x + 0.5 * action, -2, 2)
    batch = jaxsac.Transition(x, action, -jnp.sum(next_x**2, -1), jnp.ones(128), next_x)
    return jaxsac.update(state, batch, update_key)[0], batch


parser = argparse.ArgumentParser(description="Measure the terms of the actor's gradient.")
parser.add_argument("--updates", type=int, default=2_000)
args = parser.parse_args()

hyperparameters = jaxsac.Hyperparameters(actor_lr=1e-3, critic_lr=1e-3, alpha_lr=1e-3, gamma=0.9)
config = jaxsac.Config(hidden_sizes=(32, 32))
state = jaxsac.init(jax.random.key(0), jnp.zeros(1), jnp.zeros(1), config, hyperparameters)
print("update     α  |gradient|  noise  without the score term")
for step, key in enumerate(jax.random.split(jax.random.key(1), args.updates + 1)):
    before, (state, batch) = state, learn(state, key)
    if step % max(args.updates // 10, 1) == 0:
        total, noise, path_noise = measure(before, batch, key)
        print(f"{step:6d}  {before.alpha:.2f}  {total:10.4f}  {noise:.4f}  {path_noise:.4f}")
