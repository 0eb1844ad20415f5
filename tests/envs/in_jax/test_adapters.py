"""Environments of other libraries, each with the real package where it is installed.

None of them is among the project's own: `pip install 'jaxsac[brax]'`, and so on.
"""

import builtins
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from jaxsac.envs.in_jax import device, families
from jaxsac.envs.in_jax.brax import BraxEnv
from jaxsac.envs.in_jax.gymnax import GymnaxEnv
from jaxsac.envs.options import EnvOptions

KEY = jax.random.key(0)


class Inner(struct.PyTreeNode):
    obs: jax.Array
    reward: jax.Array
    done: jax.Array


class LikeBrax:
    """Counts its steps, pays the action, and is done at the third step if it ends at all."""

    action_size = 1

    def __init__(self, ends):
        self.ends = ends

    def reset(self, rng):
        return Inner(jnp.zeros(2), jnp.zeros(()), jnp.zeros(()))

    def step(self, state, action):
        obs = state.obs + 1
        return Inner(obs, action[0], jnp.where(self.ends & (obs[0] == 3), 1.0, 0.0))


def rollout(env, steps, action):
    envs = device.reset(env, KEY, 1)
    step = jax.jit(functools.partial(device.step, env))
    found = []
    for _ in range(steps):
        envs, result, ended = step(envs, jnp.full((1, *env.action.shape), action))
        found.append((result, ended))
    return jax.tree.map(lambda *rows: np.stack(rows), *found)


def test_done_is_a_termination_and_the_time_limit_a_cut():
    for ends, discount in ((True, 0), (False, 1)):
        result, ended = rollout(BraxEnv(LikeBrax(ends), time_limit=3), 4, 2.0)
        assert result.discount[:, 0].tolist() == [1, 1, discount, 1]
        assert result.next_observation[:, 0, 0].tolist() == [1, 2, 3, 1]
        assert result.observation[:, 0, 0].tolist() == [1, 2, 0, 1]
        assert ended.mask[:, 0].tolist() == [False, False, True, False]
        assert (result.reward == 1).all()  # the action is clipped


def check(env, steps=3):
    """Steps it, and checks what every environment has to keep to."""
    result, ended = rollout(env, steps, 0.5)
    assert result.valid.all()
    assert not ended.mask.any()
    state = jax.eval_shape(env.reset, KEY)
    after = jax.eval_shape(env.step, state, env.action)
    assert jax.tree.structure(state) == jax.tree.structure(after)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
    two = jax.vmap(env.reset)(jax.random.split(KEY, 2)).observation
    assert (two[0] != two[1]).any()


def test_brax():
    pytest.importorskip("brax", reason="needs jaxsac[brax]")
    env = families.make_in_jax("brax:ant")
    assert env.action.shape == (8,)
    assert env.time_limit == 1000
    check(env)
    with pytest.raises(ValueError, match="brax:robot"):
        families.make_in_jax("brax:robot")


def test_playground():
    pytest.importorskip("mujoco_playground", reason="needs jaxsac[playground]")
    env = families.make_in_jax("playground:CheetahRun")
    assert env.observation.shape == (17,)
    assert env.action.shape == (6,)
    assert env.time_limit == 1000
    check(env)
    with pytest.raises(ValueError, match="Robot"):
        families.make_in_jax("playground:Robot")
    with pytest.raises(ValueError, match=r"does not take.*'size': 3.*episode_length"):
        families.make_in_jax("playground:CheetahRun", EnvOptions({"size": 3}))


def test_gymnax():
    gymnax = pytest.importorskip("gymnax", reason="needs jaxsac[gymnax]")
    env = families.make_in_jax("gymnax:Pendulum-v1")
    assert isinstance(env, GymnaxEnv)
    check(env)
    # Its time limit is a cut, and its actions are those of a pendulum of 2 N·m.
    result, ended = rollout(env, 200, 0.5)
    assert result.discount.all()
    assert np.flatnonzero(ended.mask).tolist() == [199]
    inner, params = gymnax.make("Pendulum-v1")
    state = env.reset(KEY)
    _, _, reward, *_ = inner.step_env(KEY, state.inner, jnp.array([1.0]), params)
    np.testing.assert_allclose(env.step(state, jnp.array([0.5])).reward, reward, rtol=1e-6)
    with pytest.raises(ValueError, match="not a Box"):
        families.make_in_jax("gymnax:CartPole-v1")


def test_a_goal_of_gymnax_is_a_termination():
    pytest.importorskip("gymnax", reason="needs jaxsac[gymnax]")
    env = families.make_in_jax("gymnax:MountainCarContinuous-v0")
    state = env.reset(KEY)
    top = state.replace(inner=state.inner.replace(position=0.449, velocity=0.06))
    assert not state.terminated
    assert env.step(top, jnp.array([1.0])).terminated


@pytest.mark.parametrize("family", ["brax", "gymnax", "mjx", "playground"])
def test_a_missing_package_is_named_with_the_command(family, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.partition(".")[0] in ("brax", "gymnax", "mujoco_playground") or name.endswith(
            "envs.in_jax.mjx"
        ):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ModuleNotFoundError, match=rf"pip install 'jaxsac\[{family}\]'"):
        families.make_in_jax(f"{family}:Something")
