"""Learns from data that there is already, without acting once, and shows what it learned.

The data are 20,000 random steps of Pendulum here; yours may come from a robot's log. Needs
`pip install 'jaxsac[envs]'`.

    python examples/offline.py --updates 20000
"""

import argparse

import gymnasium
import jax
import numpy as np

import jaxsac

UPDATES_IN_A_SCAN = 200


def random_steps(env, count):
    """Transitions with a leading axis (count, ...), actions in [-1, 1]."""
    rows = []
    observation, _ = env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(count):
        action = env.action_space.sample()
        next_observation, reward, terminated, truncated, _ = env.step(action)
        # 0 only where the process terminated: at a time limit there is a value of what follows.
        discount = 1.0 - terminated
        rows.append(jaxsac.Transition(observation, action, reward, discount, next_observation))
        observation = env.reset()[0] if terminated or truncated else next_observation
    return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)


def returns(env, state, episodes):
    """Of the policy's mode."""
    for seed in range(episodes):
        (observation, _), total, over = env.reset(seed=1_000 + seed), 0.0, False
        while not over:
            action = np.asarray(jaxsac.act(state, observation))
            observation, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
        yield total


@jax.jit
def learn(state, buffer, key):
    """As many updates as a scan holds, each on a batch of its own."""

    def update(state, key):
        batch = jaxsac.replay.sample(buffer, key, 256)
        return jaxsac.update(state, batch, jax.random.fold_in(key, 1))

    return jax.lax.scan(update, state, jax.random.split(key, UPDATES_IN_A_SCAN))


parser = argparse.ArgumentParser(description="Learn from stored transitions alone.")
for name, default in (("steps", 20_000), ("updates", 20_000), ("episodes", 10)):
    parser.add_argument(f"--{name}", type=int, default=default)
args = parser.parse_args()

env = gymnasium.make("Pendulum-v1")
env = gymnasium.wrappers.RescaleAction(env, np.float32(-1), np.float32(1))
data = random_steps(env, args.steps)
print(f"{args.steps:,} random steps, mean reward {data.reward.mean():.2f}", flush=True)

buffer = jaxsac.replay.from_arrays(data)
hyperparameters = jaxsac.Hyperparameters(actor_lr=1e-3, critic_lr=1e-3, alpha_lr=1e-3)
config = jaxsac.Config(hidden_sizes=(64, 64))
state = jaxsac.init(jax.random.key(0), data.observation[0], data.action[0], config, hyperparameters)
for key in jax.random.split(jax.random.key(1), args.updates // UPDATES_IN_A_SCAN):
    state, metrics = learn(state, buffer, key)
    if int(state.step) % 2_000 == 0:
        found = np.mean(list(returns(env, state, args.episodes)))
        print(f"after {int(state.step):,} updates: return {found:,.1f}", flush=True)
