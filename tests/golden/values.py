"""What 20 updates of plain SAC come to, in numbers that do not depend on the layout of a state."""

import json

import jax
import jax.numpy as jnp
import numpy as np

import jaxsac

SIZES = 4, 2  # observation, action
UPDATES = 20


def batch_of(rng, size=16):
    observation, action = SIZES
    batch = jaxsac.Transition(
        rng.normal(size=(size, observation)),
        rng.uniform(-1, 1, size=(size, action)),
        rng.normal(size=size),
        (rng.uniform(size=size) < 0.8).astype(float),
        rng.normal(size=(size, observation)),
    )
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.zeros(()).dtype), batch)


def golden_values():
    """Metrics of the last update, and the agent's answers after it, as lists of numbers."""
    rng = np.random.default_rng(7)
    observation, action = map(jnp.zeros, SIZES)
    hyperparameters = jaxsac.Hyperparameters(
        actor_lr=1e-3, critic_lr=2e-3, alpha_lr=3e-3, gamma=0.97, tau=0.02
    )
    config = jaxsac.Config(hidden_sizes=(32, 32))
    state = jaxsac.init(jax.random.key(3), observation, action, config, hyperparameters)
    metrics = None
    for key in jax.random.split(jax.random.key(4), UPDATES):
        state, metrics = jaxsac.update(state, batch_of(rng), key)
    asked = batch_of(rng, 5)
    sampled, log_prob = jaxsac.sample(state, asked.observation, jax.random.key(5))
    names = (
        "critic_loss", "actor_loss", "alpha_loss", "alpha", "entropy", "q_mean", "target_mean",
        "critic_gradient_norm", "actor_gradient_norm", "alpha_gradient_norm",
    )  # fmt: skip
    answers = {
        "mode": jaxsac.act(state, asked.observation),
        "sampled": sampled,
        "log_prob": log_prob,
        "q_values": jaxsac.q_values(state, asked.observation, asked.action),
        **{name: getattr(metrics, name) for name in names},
    }
    return {name: np.asarray(x, np.float64).ravel().tolist() for name, x in answers.items()}


def main():
    values = {}
    for dtype in ("float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            values[dtype] = golden_values()
    print(json.dumps(values))


if __name__ == "__main__":
    main()
