"""Acts 50 times a second while a thread learns, without a lock (needs `jaxsac[envs]`)."""

import sys
import threading
import time

import gymnasium
import jax
import numpy as np

import jaxsac

SECONDS, PERIOD = float(sys.argv[1]) if sys.argv[1:] else 120.0, 0.02
sys.setswitchinterval(0.0005)  # the thread that acts waits no longer for the one that learns
env = gymnasium.make("Pendulum-v1", max_episode_steps=10**9)  # goes on for ever, as a robot does
remember = jax.jit(jaxsac.replay.add, donate_argnums=0)  # in place
one = np.ones(1, np.float32)


def interact(observation, key):
    """Acts; the step as a row (1, ...), in which nothing terminates, so the discount is 1."""
    action = np.asarray(jaxsac.act(agent["state"], observation, key))
    after, reward, *_ = env.step(2 * action[0])  # torques are from -2 to 2
    return jaxsac.Transition(observation, action, np.float32(reward) * one, one, after[None])


@jax.jit
def update(state, buffer, key):
    """The agent after a batch of the ring."""
    batch = jaxsac.replay.sample(buffer, key, 128)
    return jaxsac.update(state, batch, jax.random.fold_in(key, 1))[0]


def learn(buffer, seen=0):
    """What the thread does: an update at a time, as more in a queue would delay the next action."""
    while time.perf_counter() < start + SECONDS and threading.main_thread().is_alive():
        while seen < len(steps):
            buffer, seen = remember(buffer, steps[seen]), seen + 1
        state = update(agent["state"], buffer, jax.random.key(agent["updates"]))
        agent.update(state=jax.block_until_ready(state), updates=agent["updates"] + 1)


config, rates = jaxsac.Config(hidden_sizes=(64, 64)), jaxsac.Hyperparameters(1e-3, 1e-3, 1e-3)
observation = env.reset(seed=0)[0]
agent = {"state": jaxsac.init(jax.random.key(0), observation, one, config, rates), "updates": 0}
step = interact(observation[None], jax.random.key(0))
buffer = remember(jaxsac.replay.init(100_000, jax.tree.map(lambda leaf: leaf[0], step)), step)
jax.block_until_ready(update(agent["state"], buffer, jax.random.key(0)))  # compiled in advance
late, steps, start = [], [], time.perf_counter()
threading.Thread(target=learn, args=(buffer,)).start()
for number in range(1, 1 + int(SECONDS / PERIOD)):
    time.sleep(max(0.0, start + number * PERIOD - time.perf_counter()))
    step = interact(step.next_observation, jax.random.key(number))
    late.append(1e3 * (time.perf_counter() - start - number * PERIOD))
    steps.append(step)
print(f"{len(late):,} actions, {agent['updates']:,} updates")
print("ms late (half of them, 99 %, all):", np.quantile(late, [0.5, 0.99, 1]).round(2))
first, last = (np.mean([step.reward for step in some]) for some in (steps[:500], steps[-500:]))
print(f"mean reward: {first:.2f} at first, {last:.2f} at last")
