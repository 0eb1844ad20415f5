"""Acts 50 times a second while a thread learns, and says how late the actions were.

Nothing is locked, as the thread hands over finished agents. Needs `pip install 'jaxsac[envs]'`.
"""

import queue
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
random, one = np.random.default_rng(0), np.ones(1, np.float32)
remember = jax.jit(jaxsac.replay.add, donate_argnums=0)  # in place


def interact(observation, action):
    """One step, as a row (1, ...); nothing terminates, so the discount is 1."""
    after, reward, *_ = env.step(2 * action[0])  # torques are from -2 to 2
    return jaxsac.Transition(observation, action, np.array([reward], np.float32), one, after[None])


@jax.jit
def update(state, buffer, key):
    """The agent after a batch of the ring."""
    batch = jaxsac.replay.sample(buffer, key, 128)
    return jaxsac.update(state, batch, jax.random.fold_in(key, 1))[0]


def learn(agent, buffer, steps, over):
    """What the thread does: an update at a time, as more in a queue would delay the next action."""
    while not over.is_set():
        while not steps.empty():
            buffer = remember(buffer, steps.get())
        state = update(agent["state"], buffer, jax.random.key(agent["updates"]))
        agent.update(state=jax.block_until_ready(state), updates=agent["updates"] + 1)


step = interact(env.reset(seed=0)[0][None], np.zeros((1, 1), np.float32))
buffer = jaxsac.replay.init(100_000, jax.tree.map(lambda leaf: leaf[0], step))
for _ in range(1_000):  # at random; all is compiled before the clock starts
    step = interact(step.next_observation, random.uniform(-1, 1, (1, 1)).astype(np.float32))
    buffer = remember(buffer, step)
config, rates = jaxsac.Config(hidden_sizes=(64, 64)), jaxsac.Hyperparameters(1e-3, 1e-3, 1e-3)
state = jaxsac.init(jax.random.key(0), step.observation[0], step.action[0], config, rates)
agent = {"state": update(state, buffer, jax.random.key(0)), "updates": 1}
jaxsac.act(state, step.observation, jax.random.key(0)).block_until_ready()

late, rewards, steps, over = [], [], queue.SimpleQueue(), threading.Event()
threading.Thread(target=learn, args=(agent, buffer, steps, over)).start()
start = time.perf_counter()
try:
    for number in range(1, 1 + int(SECONDS / PERIOD)):
        due = start + number * PERIOD
        time.sleep(max(0.0, due - time.perf_counter()))
        action = jaxsac.act(agent["state"], step.next_observation, jax.random.key(number))
        step = interact(step.next_observation, np.asarray(action))
        late.append(1e3 * (time.perf_counter() - due))
        steps.put(step)
        rewards.append(step.reward)
finally:
    over.set()
median, most = np.quantile(late, [0.5, 0.99])
print(f"{len(late):,} actions, {agent['updates']:,} updates")
print(f"late by {median:.2f} ms (median), {most:.2f} (99 %), {max(late):.2f} (at most)")
print(f"mean reward: {np.mean(rewards[:500]):.2f} at first, {np.mean(rewards[-500:]):.2f} at last")
