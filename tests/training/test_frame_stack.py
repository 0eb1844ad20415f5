"""Runs with a stack of frames are those of an environment that stacks them itself."""

import dataclasses
import re

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import jaxsac
from assertions import assert_identical
from jaxsac.data import frame_stack
from jaxsac.envs import host, registry
from jaxsac.envs.in_jax import families
from jaxsac.inspection.member import read
from jaxsac.runs import record, train
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.metrics import metrics
from jaxsac.runs.policies import evaluation
from jaxsac.runs.policies.load import load_policy
from jaxsac.training import driver, memory, seed_axis
from jaxsac.training.drivers import make_driver
from jaxsac.training.population import EVALUATION_STREAM
from jaxsac.training.prior_data import PriorData
from run_examples import (
    LOOP,
    Listener,
    Short,
    agent_of,
    result_of,
    small_run,
    train_in_parts,
    trained,
)

SIZE = 3


class Stacked(gymnasium.Wrapper):
    """Stacks observations of dicts, tuples and boxes by itself."""

    def __init__(self, env):
        super().__init__(env)
        self.stack = frame_stack.FrameStack(SIZE)
        self.observation_space = _stacked(env.observation_space)

    def reset(self, **kwargs):
        observation, info = self.env.reset(**kwargs)
        return self.stack.reset(observation), info

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self.stack.step(observation), reward, terminated, truncated, info


def _stacked(space):
    if isinstance(space, spaces.Dict):
        return spaces.Dict({name: _stacked(part) for name, part in space.items()})
    if isinstance(space, spaces.Tuple):
        return spaces.Tuple([_stacked(part) for part in space])
    if isinstance(space, spaces.MultiBinary):
        return spaces.MultiBinary([*space.shape[:-1], SIZE * space.shape[-1]])
    low, high = (np.concatenate([x] * SIZE, axis=-1) for x in (space.low, space.high))
    return spaces.Box(low, high, dtype=space.dtype.type)


class ShortStacked(Short):
    """`Short`, which stacks its observations by itself."""

    @property
    def observation(self):
        return frame_stack.structs(super().observation, SIZE)

    def reset(self, key):
        state = super().reset(key)
        return state.replace(observation=frame_stack.begin(state.observation, SIZE))

    def step(self, state, action):
        before = state.observation
        state = super().step(state, action)
        return state.replace(observation=frame_stack.push(before, state.observation))


KINDS = {"Short": lambda: Short(fast=2.0), "ShortStacked": lambda: ShortStacked(fast=2.0)}


@pytest.fixture(autouse=True)
def environments(monkeypatch):
    monkeypatch.setitem(families.FAMILIES, "probe", lambda name: KINDS[name]())


RICH = {"num_envs": 2, "replay_capacity": 30, **LOOP}
SCRIPTED = {"env": "probe_environments:Scripted-v0", "eval_every": 30, "frame_stack": SIZE}


def returns_of(directory):
    file = metrics.path(directory / "metrics", "seed-0000")
    return [row["eval_return"] for row in metrics.read(file) if row["eval_return"] is not None]


def wrapped(config):
    """The same run in environments that stack by themselves."""
    return dataclasses.replace(config, frame_stack=1, wrapper=(f"{__name__}:Stacked",))


def assert_trained_alike(config, ours, theirs):
    assert_identical(agent_of(ours, config), trained(wrapped(config), theirs))
    assert returns_of(ours) == returns_of(theirs) != []


def test_on_the_host_it_learns_as_with_a_wrapper_that_stacks(run, tmp_path):
    assert_trained_alike(*run, tmp_path / "wrapped")


@pytest.mark.slow
def test_so_it_does_in_blocks_and_on_a_scale(tmp_path):
    config = small_run(**SCRIPTED, update_every=10, normalize_observations=True)
    trained(config, tmp_path / "ours")
    assert_trained_alike(config, tmp_path / "ours", tmp_path / "wrapped")


@pytest.mark.slow
def test_on_the_device_too(tmp_path):
    settings = {"num_envs": 3, "eval_every": 30, "replay_capacity": 40}
    ours = trained(small_run(env="probe:Short", frame_stack=SIZE, **settings), tmp_path / "ours")
    own = trained(small_run(env="probe:ShortStacked", **settings), tmp_path / "own")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), ours, own)
    np.testing.assert_allclose(returns_of(tmp_path / "ours"), returns_of(tmp_path / "own"), 1e-5)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Of dicts, tuples and images on the host, never stopped; and its directory."""
    directory = tmp_path_factory.mktemp("run") / "straight"
    config = small_run(**SCRIPTED, **RICH)
    assert train.train(config, directory, Listener())
    return config, directory


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(run, tmp_path):
    config, directory = run
    train_in_parts(config, tmp_path / "run", 20, 40)
    assert result_of(tmp_path / "run") == result_of(directory)


@pytest.mark.slow
def test_so_does_one_on_the_device(tmp_path):
    config = small_run(env="probe:Short", **RICH, frame_stack=SIZE)
    assert train.train(config, tmp_path / "straight", Listener())
    train_in_parts(config, tmp_path / "run", 20, 40)
    assert result_of(tmp_path / "run") == result_of(tmp_path / "straight")


def test_a_saved_policy_acts_on_stacks_of_ones_own(run):
    config, directory = run
    policy = load_policy(directory)
    assert policy.frame_stack == SIZE
    assert policy.observation_spec["image"].shape == (2, 2, SIZE)
    env = config.to_population().env_options
    (env,) = registry.make(config.env, 1, options=env)
    stack, total, over = jaxsac.FrameStack(policy.frame_stack), 0.0, False
    (start,) = host.environment_seeds(0, (EVALUATION_STREAM, policy.step), 1)
    seen = stack.reset(env.reset(seed=start)[0])
    while not over:
        observation, reward, terminated, truncated, _ = env.step(policy(seen))
        seen, total, over = stack.step(observation), total + reward, terminated or truncated
    evaluated = evaluation.evaluate_run(directory, episodes=1)
    np.testing.assert_allclose(evaluated.deterministic[0], [total], rtol=1e-5)


def test_a_saved_replay_is_recorded_with_single_observations(tmp_path):
    config = small_run(**SCRIPTED, num_envs=2, replay_capacity=30)
    assert train.train(config, tmp_path / "run", Listener())
    made = record.record(tmp_path / "run", str(tmp_path / "data.npz"))
    assert made.rows == 2 * 30
    data = small_run(env=config.env, prior_data=made.source, replay_capacity=30, num_envs=2)
    driver = make_driver(data.to_population(), seed_axis.axis(2))
    prior = PriorData(data.to_population(), driver)
    driver.close()
    assert len(prior.over) == made.rows
    assert prior.over.sum() == made.episodes
    # Within an episode each step begins where the one before it ended.
    before, after = (prior.steps.observation["position"], prior.steps.next_observation["position"])
    inside = ~prior.over[:-1]
    np.testing.assert_array_equal(before[1:][inside], after[:-1][inside])


def test_an_inspection_looks_at_stacks_and_at_single_observations(run):
    _, directory = run
    (member,) = read(RunDirectory(directory), "latest", [0])
    assert member.drawn(7).observation["image"].shape == (7, 2, 2, SIZE)
    assert member.observations["image"].shape == (30, 2, 2, 1)
    drawn = member.drawn(30).observation["image"]
    latest = {image.tobytes() for image in member.observations["image"]}
    assert {image[..., -1:].tobytes() for image in drawn} <= latest


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"frame_stack": 0}, "frame_stack must be at least 1"),
        ({"prior_data": "data.npz"}, "prior_data cannot be used with frame_stack 3"),
        ({"init_from": "run", "init_replay": True}, "init_replay cannot be used with frame_stack"),
        ({"steps": 2**31}, "steps must be at most 1,073,741,824 with frame_stack"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        small_run(**{"frame_stack": 3, **changes})


def test_agents_that_see_other_stacks_are_not_taken_over(run, tmp_path):
    config, directory = run
    other = dataclasses.replace(config, frame_stack=2, init_from=str(directory))
    listener = Listener()
    with pytest.raises(BundleError, match="was trained with frame_stack 3"):
        train.train(other, tmp_path / "other", listener)
    assert "compiling" not in listener.phases, "before what takes long"
    assert not (tmp_path / "other").exists()


def test_the_plan_of_the_memory_is_what_is_allocated(monkeypatch):
    image, action = (
        jax.ShapeDtypeStruct((84, 84, 3), jnp.uint8),
        jax.ShapeDtypeStruct((2,), jnp.float32),
    )
    axis = seed_axis.axis(1)

    def planned(capacity):
        population = small_run(seeds=1, frame_stack=3, replay_capacity=capacity).to_population()
        structs = driver.learning_structs(population, image, action)
        return structs, memory.plan(axis, structs)

    structs, plan = planned(1000)
    assert plan.member_bytes == memory.num_bytes(structs)
    assert "each observation of their stacks of 3 stored once" in plan.describe()
    monkeypatch.setattr(memory, "available_bytes", lambda device: 10**9)
    with pytest.raises(MemoryError) as refusal:
        planned(10**6)
    fits = int(re.search(r"replay_capacity of ([\d,]+)", str(refusal.value))[1].replace(",", ""))
    planned(fits)
    with pytest.raises(MemoryError):
        planned(fits + 2)
