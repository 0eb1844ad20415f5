"""Runs with a stack of frames are those of an environment that stacks them itself."""

import functools

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import jaxsac
from assertions import assert_identical
from jaxsac.data import frame_stack, frames
from jaxsac.envs import registry
from jaxsac.runs import evaluation, metrics, train
from jaxsac.runs.load import load_policy
from run_examples import (
    LOOP,
    Listener,
    Short,
    StopAt,
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
        observation, *others = self.env.step(action)
        return self.stack.step(observation), *others


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

    def __init__(self, fast=np.inf):
        super().__init__(fast)
        self.observation = frame_stack.structs(self.observation, SIZE)

    def reset(self, key):
        state = super().reset(key)
        return state.replace(observation=frame_stack.begin(state.observation, SIZE))

    def step(self, state, action):
        before = state.observation
        state = super().step(state, action)
        return state.replace(observation=frame_stack.push(before, state.observation))


KINDS = {"Short": lambda: Short(2.0), "ShortStacked": lambda: ShortStacked(2.0)}


@pytest.fixture(autouse=True)
def environments(monkeypatch):
    monkeypatch.setitem(registry.FAMILIES, "probe", lambda name: KINDS[name]())


def returns_of(directory):
    file = metrics.path(directory / "metrics", "seed-0000")
    return [row["eval_return"] for row in metrics.read(file) if row["eval_return"] is not None]


@pytest.mark.parametrize(
    "settings",
    [
        {"num_envs": 2, "replay_capacity": 30, **LOOP},
        {"update_every": 10, "normalize_observations": True},
    ],
    ids=["everything", "blocks"],
)
def test_on_the_host_it_learns_as_with_a_wrapper_that_stacks(tmp_path, settings):
    config = functools.partial(
        small_run, env="probe_environments:Scripted-v0", eval_every=30, **settings
    )
    ours = trained(config(frame_stack=SIZE), tmp_path / "ours")
    wrapped = trained(config(wrapper=(f"{__name__}:Stacked",)), tmp_path / "wrapped")
    assert_identical(ours, wrapped)
    assert returns_of(tmp_path / "ours") == returns_of(tmp_path / "wrapped") != []


def test_on_the_device_too(tmp_path):
    settings = {"num_envs": 3, "eval_every": 30, "replay_capacity": 40}
    ours = trained(small_run(env="probe:Short", frame_stack=SIZE, **settings), tmp_path / "ours")
    own = trained(small_run(env="probe:ShortStacked", **settings), tmp_path / "own")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), ours, own)
    np.testing.assert_allclose(returns_of(tmp_path / "ours"), returns_of(tmp_path / "own"), 1e-5)


@pytest.mark.parametrize("env", ["probe_environments:Scripted-v0", "probe:Short"])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path, env):
    config = small_run(env=env, frame_stack=SIZE, num_envs=2, replay_capacity=30, n_step=2)
    assert train.train(config, tmp_path / "straight", Listener())
    train_in_parts(config, tmp_path / "run", 20, 40)
    assert result_of(tmp_path / "run") == result_of(tmp_path / "straight")
