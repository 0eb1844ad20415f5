"""Small runs, alike in many tests so that compiled programs are shared."""

import dataclasses
import os
import signal
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxsac
from assertions import assert_identical as assert_identical
from jaxsac.envs.in_jax.pendulum import Pendulum
from jaxsac.runs import train
from jaxsac.runs.checkpoints import checkpoint
from jaxsac.runs.metrics import metrics
from jaxsac.runs.settings.config import RunConfig
from jaxsac.training import copies, driver, evaluate, learner, seed_axis
from jaxsac.training.drivers import make_driver
from jaxsac.training.population import TRAINING_STREAM

NET = jaxsac.Config(hidden_sizes=(8,))
# For images whose encoder does not matter, as it takes most of what compiles.
FLAT = jaxsac.Config(hidden_sizes=(8,), encoder="flat")
# Large steps, so that a difference shows after few updates.
FAST = jaxsac.Hyperparameters(
    actor_lr=0.01, critic_lr=0.02, alpha_lr=0.03, gamma=0.9, tau=0.1, initial_alpha=0.5
)

# Everything that the loop carries on demand.
LOOP: dict[str, Any] = {
    "n_step": 3, "reward_scale": "return_bound", "noise_hold": 4, "reset_every": 15,
}  # fmt: skip


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
        self.messages, self.rows, self.phases = [], [], []

    def message(self, text):
        self.messages.append(text)

    def phase(self, phase):
        self.phases.append(phase)

    def started(self, step, seconds):
        self.messages.append(f"from step {step}")

    def stepped(self, step):
        pass

    def progress(self, progress):
        self.rows.append(progress)


def make_envs(config):
    return copies.make_envs(config.to_population(), config.num_envs)


def agent_of(directory, config, step=None):
    """The agent that a run saved, (S, ...)."""
    made = make_driver(config.to_population(), seed_axis.axis(config.population))
    structs = driver.learning_structs(config.to_population(), made.observation, made.action)
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

    def __init__(self, members, devices=1, learning_starts=8, dtype="float32"):
        count = len(members)
        config = small_run(seeds=count, num_envs=2, learning_starts=learning_starts, batch_size=4)
        population = config.to_population().replace(seeds=np.array(members))
        self.envs, self.dtype = make_envs(config), dtype
        self.schedule, self.steps, self.actions = population.schedule, 0, []
        self.discarded = np.zeros(count, int)
        mesh = jax.sharding.Mesh(np.array(jax.devices()[:devices]), ("seeds",))
        axis = seed_axis.SeedAxis(count, mesh, "map")
        env_seeds = evaluate.seeds_of_members(list(members), (TRAINING_STREAM,), 2)
        self.carry = driver.init_learning(
            population,
            self.envs.reset(env_seeds),
            jax.ShapeDtypeStruct((2,), jnp.dtype(dtype)),
            axis,
        )
        self.learn_step = axis.program(
            learner.learn_step, num_shared=1, batch_size=4, over_seeds=axis.over_members
        )

    def learn(self, steps):
        """Steps of all environments, two of each member, each followed by its updates."""
        for _ in range(steps):
            self.actions.append(np.asarray(self.carry.action))
            result, _ = self.envs.step(self.actions[-1])
            self.discarded += (~result.valid).sum(axis=1)
            work = self.schedule.work(self.steps, self.steps + 2)
            result = in_double(result) if self.dtype == "float64" else result
            self.carry, self.steps = self.learn_step(self.carry, result, work), self.steps + 2
        return self

    @property
    def learner(self):
        """All arrays of the carry, the typed keys as numbers."""
        return self.carry._replace(key=jax.random.key_data(self.carry.key))


def is_identical(a, b):
    return all(np.array_equal(x, y) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))


class StopAt(Listener):
    """Presses Ctrl-C when it hears of a step."""

    def __init__(self, *steps):
        super().__init__()
        self.steps = steps

    def progress(self, progress):
        if progress.step in self.steps:
            os.kill(os.getpid(), signal.SIGINT)


def result_of(directory):
    """Every byte of a run that may not depend on how often it was stopped."""
    steps = checkpoint.steps(directory / "checkpoints")
    tensors = {
        file.name: file.read_bytes()
        for file in (directory / "checkpoints" / str(steps[-1])).glob("*.safetensors")
    }
    rows = [
        [{**row, "wall_time": None} for row in metrics.read(file)]
        for file in sorted((directory / "metrics").iterdir())
    ]
    return steps[-1], tensors, str(rows)


def train_in_parts(config, directory, *stops):
    for step in stops:
        assert not train.train(config, directory, StopAt(step))
    listener = Listener()
    assert train.train(config, directory, listener)
    return listener.messages


@dataclasses.dataclass(frozen=True)
class Short(Pendulum):
    """Episodes of nine steps; a NaN is paid where the speed is above `fast`."""

    time_limit: int = 9
    fast: float = np.inf

    def step(self, state, action):
        state = super().step(state, action)
        return state.replace(reward=jnp.where(state.speed > self.fast, jnp.nan, state.reward))
