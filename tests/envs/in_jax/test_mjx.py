"""Gymnasium's robots in JAX beside Gymnasium's own, which MuJoCo simulates in C."""

import functools
import sys
import warnings
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsac.envs.copies import mujoco_warnings
from jaxsac.envs.in_jax import device, families
from jaxsac.envs.in_jax.mjx import Robot, implementation
from jaxsac.envs.options import EnvOptions
from jaxsac.runs import train
from jaxsac.runs.checkpoints import checkpoint
from jaxsac.runs.metrics import metrics
from run_examples import Listener, small_run

NAMES = ["HalfCheetah-v4", "Hopper-v4", "Walker2d-v4", "Ant-v4"]


@functools.cache
def in_double(name):
    """The environment in JAX, with its compiled functions, in double precision."""
    mujoco_warnings.redirect()
    with jax.enable_x64(True):
        env = families.make_in_jax(f"mjx:{name}")
        assert isinstance(env, Robot)
    return env, jax.jit(env.reset), jax.jit(env.step)


def original_of(name) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        env = gymnasium.make(name).unwrapped
    env.reset(seed=0)
    return env


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name != "HalfCheetah-v4")) for name in NAMES],
)
def test_thirty_steps_are_those_of_the_simulator_in_c(name, x64):
    env, reset, step = in_double(name)
    original = original_of(name)
    rng = np.random.default_rng(1)
    state = reset(jax.random.key(0))
    original.set_state(np.asarray(state.motion.qpos), np.asarray(state.motion.qvel))
    np.testing.assert_array_equal(state.observation, original._get_obs())
    for number in range(30):
        action = rng.uniform(-1, 1, env.action.shape)
        observation, reward, terminated, *_ = original.step(action)
        state = step(state, action)
        np.testing.assert_allclose(state.motion.qpos, original.data.qpos, atol=1e-7)
        np.testing.assert_allclose(state.motion.qvel, original.data.qvel, atol=1e-6)
        np.testing.assert_allclose(state.observation, observation, atol=1e-6)
        np.testing.assert_allclose(state.reward, reward, atol=1e-6)
        assert bool(state.terminated) == terminated
        if terminated:
            assert number > 10
            break


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_steps_in_warp_are_those_of_the_simulator_in_c(name):
    """In groups of groups, as seeds and environments are; the ant until it stands."""
    # 150 MB that the tests' environment does without: `pip install 'jaxsac[warp]'` first.
    pytest.importorskip("warp", reason="Warp is not installed")
    mujoco_warnings.redirect()
    env = families.make_in_jax(f"mjx:{name}", EnvOptions({"impl": "warp"}))
    assert env is not None
    keys = jax.random.split(jax.random.key(0), (2, 3))
    state = jax.jit(jax.vmap(jax.vmap(env.reset)))(keys)
    step: Any = jax.jit(jax.vmap(jax.vmap(env.step), in_axes=(0, None)))
    originals = {place: original_of(name) for place in ((0, 2), (1, 0))}
    for place, original in originals.items():
        original.set_state(*(np.asarray(x[place], float) for x in state.motion[:2]))
    rng = np.random.default_rng(1)
    for _ in range(1 if name == "Ant-v4" else 6):
        action = rng.uniform(-1, 1, (3, *env.action.shape)).astype(np.float32)
        state = step(state, action)
        for place, original in originals.items():
            observation, reward, terminated, *_ = original.step(action[place[1]])
            np.testing.assert_allclose(state.observation[place], observation, atol=2e-4)
            np.testing.assert_allclose(state.reward[place], reward, atol=1e-4)
            assert bool(state.terminated[place]) == terminated


def test_warp_simulates_where_it_is_quick_and_the_same(monkeypatch):
    assert implementation("auto", "Hopper-v4") == "jax"
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "local_devices", lambda backend: ["a card"])
    monkeypatch.setattr("importlib.util.find_spec", {"warp": object()}.get)
    chosen = {name: implementation("auto", name) for name in NAMES}
    assert chosen == dict.fromkeys(NAMES, "warp") | {"Ant-v4": "jax"}
    assert implementation("jax", "Hopper-v4") == "jax"
    with pytest.raises(ValueError, match="'auto', 'jax' or 'warp', got 'cuda'"):
        implementation("cuda", "Hopper-v4")
    with jax.enable_x64(True):
        assert implementation("auto", "Hopper-v4") == "jax"
        with pytest.raises(ValueError, match="'warp' computes in single precision"):
            implementation("warp", "Hopper-v4")
    monkeypatch.setattr(jax, "local_devices", lambda backend: ["a card", "another"])
    assert implementation("auto", "Hopper-v4") == "jax", "which was never tried"


def test_warp_that_is_missing_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "warp", None)
    monkeypatch.delitem(sys.modules, "jaxsac.envs.in_jax.mujoco_warp", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"'jaxsac\[warp\]'"):
        families.make_in_jax("mjx:Hopper-v4", EnvOptions({"impl": "warp"}))


@pytest.mark.parametrize("name", NAMES)
def test_starts_are_spread_like_gymnasiums(name, x64):
    env, *_ = in_double(name)
    original = original_of(name)
    theirs = np.stack([original.reset()[0] for _ in range(1000)])
    keys = jax.random.split(jax.random.key(0), 1000)
    ours = np.asarray(jax.jit(jax.vmap(env.reset))(keys).observation)
    spread = theirs.std(axis=0)
    # Five standard errors of a mean; the spread of a thousand is known to about 3 %.
    np.testing.assert_allclose((ours.mean(axis=0) - theirs.mean(axis=0)) / spread, 0, atol=0.25)
    np.testing.assert_allclose(ours.std(axis=0) / spread, 1, atol=0.15)
    # Uniform noise ends at its bounds, and normal noise does not.
    reach = abs(ours - ours.mean(axis=0)).max(axis=0) / ours.std(axis=0)
    assert ((reach > 2.5) == (abs(theirs - theirs.mean(axis=0)).max(axis=0) / spread > 2.5)).all()


@pytest.mark.parametrize(
    ("name", "fallen", "standing"),
    [
        ("Hopper-v4", [(1, 0.69), (2, 0.21), (2, -0.21), (4, 100.1)], [(1, 0.71), (2, 0.19)]),
        ("Walker2d-v4", [(1, 0.79), (1, 2.01), (2, 1.01), (2, -1.01)], [(1, 0.81), (4, 100.1)]),
        ("Ant-v4", [(2, 0.19), (2, 1.01)], [(2, 0.21), (2, 0.99), (8, 100.1)]),
    ],
)
def test_a_robot_that_falls_is_told_apart_as_by_gymnasium(name, fallen, standing, x64):
    env, *_ = in_double(name)
    original, is_healthy = original_of(name), env.task.is_healthy
    assert is_healthy is not None
    for index, value in fallen + standing:
        qpos, qvel = original.init_qpos.copy(), original.init_qvel
        qpos[index] = value
        original.data.qpos[:], original.data.qvel[:] = qpos, qvel
        assert original.is_healthy == ((index, value) in standing)
        assert bool(is_healthy(jnp.array(qpos), jnp.array(qvel))) == original.is_healthy


@functools.cache
def short_hopper():
    mujoco_warnings.redirect()
    env: Any = families.make_in_jax("mjx:Hopper-v4")
    env.time_limit = 4
    return env


@pytest.mark.slow
def test_a_time_limit_is_a_cut_with_the_true_last_observation():
    env, original = short_hopper(), original_of("Hopper-v4")
    step = jax.jit(functools.partial(device.step, env))
    envs = device.reset(env, jax.random.key(0), 2)
    rng = np.random.default_rng(0)
    ended = None
    for number in range(1, 9):
        motion = envs.state.motion
        action = rng.uniform(-1, 1, (2, 3)).astype(np.float32)
        envs, result, ended = step(envs, action)
        assert (result.discount == 1).all()
        np.testing.assert_array_equal(result.observation, envs.state.observation)
        np.testing.assert_array_equal(ended.mask, number % 4 == 0)
        # A fresh start has noise of 0.005 at most, the end of four steps of falling has not.
        assert (abs(envs.state.motion.qvel).max() <= 0.005) == (number % 4 == 0)
        original.set_state(np.float64(motion.qpos[1]), np.float64(motion.qvel[1]))
        observation, reward, *_ = original.step(action[1])
        np.testing.assert_allclose(result.next_observation[1], observation, atol=1e-4)
        np.testing.assert_allclose(result.reward[1], reward, atol=1e-4)
    assert ended.episode_length.tolist() == [4, 4]


@pytest.mark.slow  # compiling a simulator for learning takes most of a minute
def test_a_run_learns_in_it_and_is_saved(tmp_path, monkeypatch):
    monkeypatch.setitem(families.FAMILIES, "probe", lambda _: short_hopper())
    config = small_run(env="probe:Hopper", steps=40, seeds=1)
    assert train.train(config, tmp_path / "run", Listener())
    assert checkpoint.latest(tmp_path / "run" / "checkpoints") == 40
    row = metrics.read(metrics.path(tmp_path / "run" / "metrics", "seed-0000"))[-1]
    assert row["train_length"] == 4
    assert row["discarded"] == 0


def test_an_unknown_robot_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"'mjx:Humanoid-v4'.*mjx:HalfCheetah-v4.*mjx:Ant-v4"):
        families.make_in_jax("mjx:Humanoid-v4")
