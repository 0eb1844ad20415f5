"""Trains in a loop of one's own: Gymnasium steps, jaxsac acts and updates, nothing is hidden.

Needs `pip install 'jaxsac[envs]'`.

    python examples/gymnasium_loop.py --env Pendulum-v1 --steps 10000
"""

import argparse
import functools

import gymnasium
import jax
import numpy as np

import jaxsac


@functools.partial(jax.jit, donate_argnums=0)
def remember(buffer, *step):
    """Inserts one step; the ring is donated, so in place."""
    row = jaxsac.Transition(*step)
    return jaxsac.replay.add(buffer, jax.tree.map(lambda x: x[None], row))


@functools.partial(jax.jit, donate_argnums=0)
def learn(state, buffer, key):
    """One update on a batch of the ring."""
    sample_key, update_key = jax.random.split(key)
    return jaxsac.update(state, jaxsac.replay.sample(buffer, sample_key, 256), update_key)


parser = argparse.ArgumentParser(description="Train in a loop of one's own.")
parser.add_argument("--env", default="Pendulum-v1")
parser.add_argument("--steps", type=int, default=10_000)
parser.add_argument("--learning-starts", type=int, default=1_000)
args = parser.parse_args()

# Actions live in [-1, 1]; this wrapper takes them to the bounds of the environment.
env = gymnasium.wrappers.RescaleAction(gymnasium.make(args.env), np.float32(-1), np.float32(1))
env.action_space.seed(0)
observation, _ = env.reset(seed=0)
example = (observation, env.action_space.sample(), np.float32(0), np.float32(0), observation)
state = jaxsac.init(jax.random.key(0), *example[:2])
buffer = jaxsac.replay.init(100_000, jaxsac.Transition(*example))

episode_return = 0.0
for step, key in enumerate(jax.random.split(jax.random.key(1), args.steps), start=1):
    warming_up = step <= args.learning_starts
    action = env.action_space.sample() if warming_up else jaxsac.act(state, observation, key)
    next_observation, reward, terminated, truncated, _ = env.step(np.asarray(action))
    # The discount is 0 where the process terminated alone: at a time limit there is a next value.
    discount = np.float32(not terminated)
    buffer = remember(buffer, observation, action, np.float32(reward), discount, next_observation)
    if not warming_up:
        state, metrics = learn(state, buffer, jax.random.fold_in(key, 1))
    observation, episode_return = next_observation, episode_return + float(reward)
    if terminated or truncated:
        print(f"step {step:,}: return {episode_return:,.1f}", flush=True)
        (observation, _), episode_return = env.reset(), 0.0
