"""Learns from data that there is already, without acting once (needs `jaxsac[envs]`).

The data are 100 random episodes of Pendulum here; yours may come from a robot's log.

    python examples/offline.py --updates 20000
"""

import argparse

import gymnasium
import jax
import numpy as np

import jaxsac

UPDATES_IN_A_SCAN = 200


def episode(seed, state=None):
    """The transitions of one episode, a list: of random actions, or of an agent's mode."""
    (observation, _), over, rows = env.reset(seed=seed), False, []
    while not over:
        action = np.asarray(jaxsac.act(state, observation)) if state else env.action_space.sample()
        next_observation, reward, terminated, truncated, _ = env.step(action)
        # 0 only where the process terminated: at a time limit there is a value of what follows.
        discount = 1.0 - terminated
        rows.append(jaxsac.Transition(observation, action, reward, discount, next_observation))
        observation, over = next_observation, terminated or truncated
    return rows


@jax.jit
def learn(state, buffer, key):
    """As many updates as a scan holds, each on a batch of its own."""

    def update(state, key):
        batch = jaxsac.replay.sample(buffer, key, 256)
        return jaxsac.update(state, batch, jax.random.fold_in(key, 1))

    return jax.lax.scan(update, state, jax.random.split(key, UPDATES_IN_A_SCAN))


parser = argparse.ArgumentParser(description="Learn from stored transitions alone.")
for name, default in (("data", 100), ("updates", 20_000), ("episodes", 10)):
    parser.add_argument(f"--{name}", type=int, default=default)
args = parser.parse_args()
pendulum = gymnasium.make("Pendulum-v1")
env = gymnasium.wrappers.RescaleAction(pendulum, np.float32(-1), np.float32(1))
env.action_space.seed(0)
rows = [row for seed in range(args.data) for row in episode(seed)]
buffer = jaxsac.replay.from_arrays(jax.tree.map(lambda *leaves: np.stack(leaves), *rows))
config, rates = jaxsac.Config(hidden_sizes=(64, 64)), jaxsac.Hyperparameters(1e-3, 1e-3, 1e-3)
state = jaxsac.init(jax.random.key(0), rows[0].observation, rows[0].action, config, rates)
for key in jax.random.split(jax.random.key(1), args.updates // UPDATES_IN_A_SCAN):
    state, _ = learn(state, buffer, key)
    if int(state.step) % 2_000 == 0:
        seen = [episode(1_000 + seed, state) for seed in range(args.episodes)]
        found = np.mean([sum(row.reward for row in rows) for rows in seen])
        print(f"after {int(state.step):,} updates: return {found:,.1f}", flush=True)
