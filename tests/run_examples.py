"""Small runs, alike in many tests so that compiled programs are shared."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import jaxsac
from assertions import assert_identical as assert_identical
from jaxsac.envs import host
from jaxsac.envs.make import make
from jaxsac.runner import checkpoint, driver, evaluate, host_driver, loop, seeds, train
from jaxsac.runner.config import TRAINING_STREAM, RunConfig

NET = jaxsac.Config(hidden_sizes=(8,))
# Large steps, so that a difference shows after few updates.
FAST = jaxsac.Hyperparameters(
    actor_lr=0.01, critic_lr=0.02, alpha_lr=0.03, gamma=0.9, tau=0.1, initial_alpha=0.5
)


def small_run(**changes):
    defaults = {
        "env": "probe_environments:Drift-v0",
        "seeds": 2,
        "steps": 60,
        "learning_starts": 20,
        "batch_size": 8,
        "replay_capacity": 200,
        "eval_every": 0,
        "eval_episodes": 2,
        "log_every": 20,
        "agent": NET,
        "hyperparameters": FAST,
    }
    return RunConfig(**{**defaults, **changes})


class Listener:
    """An observer that keeps what it was told."""

    def __init__(self):
        self.messages, self.rows = [], []

    def message(self, text):
        self.messages.append(text)

    def started(self, step, seconds):
        self.messages.append(f"from step {step}")

    def stepped(self, step):
        pass

    def progress(self, progress):
        self.rows.append(progress)


def make_envs(config):
    return host_driver.make_envs(config, config.num_envs)


def agent_of(directory, config, step=None):
    """The agent that a run saved, (S, ...)."""
    made = train.make_driver(config, seeds.axis(config.population))
    structs = driver.learning_structs(config, made.observation, made.action)
    step = checkpoint.latest(directory / "checkpoints") if step is None else step
    return checkpoint.load(directory / "checkpoints", step, "agent", structs.agent)


def trained(config, directory):
    assert train.train(config, directory, Listener())
    return agent_of(directory, config)


def member(tree, k):
    return jax.tree.map(lambda leaf: leaf[k], tree)


def in_double(tree):
    """Floating leaves as float64."""
    return jax.tree.map(
        lambda x: x.astype(np.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree
    )


class Group:
    """Members learning on Drift as a run does, one step at a time, with all parts in the open."""

    def __init__(self, members, devices=1, env="Drift", learning_starts=8, utd=1, dtype="float32"):
        count = len(members)
        vector = make(f"probe_environments:{env}-v0", 2 * count)
        self.envs, self.dtype = host.HostEnvs(vector, count), dtype
        mesh = jax.sharding.Mesh(np.array(jax.devices()[:devices]), ("seeds",))
        axis = seeds.SeedAxis(count, mesh, "map")
        vector = jax.ShapeDtypeStruct((2,), jnp.dtype(dtype))
        init = functools.partial(
            loop.init,
            observation=vector,
            action=vector,
            capacity=200,
            config=NET,
            hyperparameters=FAST,
            batch_size=4,
        )
        self.carry = jax.jit(init, out_shardings=axis.sharding)(jnp.asarray(members))
        self.learn_step = axis.compile(
            functools.partial(loop.learn_step, batch_size=4, over_seeds=axis.over_members),
            num_shared=1,
        )
        self.schedule = loop.Schedule(learning_starts, utd)
        env_seeds = evaluate.environment_seeds(list(members), (TRAINING_STREAM,), 2)
        self.arrival, self.steps, self.actions = self.envs.reset(env_seeds), 0, []

    def learn(self, steps):
        """Steps of all environments, two of each member, each followed by its updates."""
        for _ in range(steps):
            work = self.schedule.work(max(0, self.steps - 2), self.steps)
            arrival = in_double(self.arrival) if self.dtype == "float64" else self.arrival
            self.carry, action = self.learn_step(self.carry, *arrival, work)
            self.actions.append(np.asarray(action))
            self.arrival, _ = self.envs.step(self.actions[-1])
            self.steps += 2
        return self

    @property
    def learner(self):
        """All arrays of the carry, the typed keys as numbers."""
        return self.carry._replace(key=jax.random.key_data(self.carry.key))


def is_identical(a, b):
    return all(np.array_equal(x, y) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))
