"""Robots in EnvPool; most of it where that is installed: `pip install 'jaxsac[envpool]'`."""

import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from mujoco import mj_resetData  # pyright: ignore[reportAttributeAccessIssue]

from assertions import assert_identical
from jaxsac.envs import envpool, host
from jaxsac.envs.registry import make, make_one
from jaxsac.runs import train
from jaxsac.runs.policies import drawn
from jaxsac.training.copies import examine_first
from run_examples import Listener, StopAt, make_envs, result_of, small_run, train_in_parts


def test_what_there_is_not_is_refused_with_a_remedy(monkeypatch):
    with pytest.raises(ValueError, match=r"unknown .*'envpool:Ant-v4': there is envpool:HalfChee"):
        make("envpool:Ant-v4", 1)
    monkeypatch.setitem(sys.modules, "envpool", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jaxsac\[envpool\]'"):
        make("envpool:HalfCheetah-v4", 1)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jaxsac\[envpool\]'"):
        make_envs(small_run(env="envpool:HalfCheetah-v4"))


def actions_of(envs, steps, seed=0):
    shape = (steps, envs.num_seeds, envs.num_envs, envs.action_map.size)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("name", envpool.TASKS)
def test_it_steps_as_gymnasium_s_from_the_same_states(name):
    """Within 1e-9 for twelve steps; MuJoCo's versions differ, and contacts amplify rounding."""
    pytest.importorskip("envpool", reason="EnvPool is not installed")
    ours: Any = make_one(f"envpool:{name}", "ours")
    theirs: Any = gymnasium.make(name)
    assert ours.observation_space == theirs.observation_space
    assert_identical(ours.action_space.low, theirs.action_space.low.astype(np.float64))
    theirs.reset(seed=0)
    simulator = theirs.unwrapped
    positions = simulator.model.nq - 1  # all but the distance, which changes nothing
    for seed in range(4):
        seen, _ = ours.reset(seed=seed)
        mj_resetData(simulator.model, simulator.data)
        simulator.set_state(np.append(0.0, seen[:positions]), seen[positions:])
        for action in np.random.default_rng(seed).uniform(-1, 1, (12, *ours.action_space.shape)):
            one, other = ours.step(action), theirs.step(action)
            np.testing.assert_allclose(one[0], other[0], rtol=0, atol=1e-9)
            assert one[1] == pytest.approx(other[1], abs=1e-6)
            assert one[2:4] == other[2:4]
            if one[2]:
                break


def test_copies_go_on_where_others_stopped_and_alone_as_in_a_pool():
    pytest.importorskip("envpool", reason="EnvPool is not installed")
    config = small_run(env="envpool:Hopper-v4", num_envs=2)
    envs, others = make_envs(config), make_envs(config)
    alone = host.HostEnvs(make(config.env, 4), 2)
    seeds, actions = [5, 6, 7, 2**32 - 1], actions_of(envs, 200)
    seen = envs.reset(seeds)
    assert_identical(seen, alone.reset(seeds))
    for action in actions[:150]:  # through several episodes of each
        result, end = envs.step(action)
        assert_identical((result, end), alone.step(action))
        seen = result.observation
    assert [log.generator["resets"] > 2 for log in envs.snapshot().logs] == [True] * 4
    found, restarted = others.restore(envs.snapshot(), seen)
    assert restarted == []
    assert_identical(found, seen)
    found, restarted = alone.restore(envs.snapshot(), seen)
    assert restarted == []
    for action in actions[150:]:
        stepped = envs.step(action)
        assert_identical(stepped, others.step(action))
        assert_identical(stepped, alone.step(action))
    assert examine_first(envs, config.to_population()) == ([], None)


def test_a_run_resumes_bit_for_bit_with_any_number_of_threads(tmp_path):
    pytest.importorskip("envpool", reason="EnvPool is not installed")

    def run(threads):
        return small_run(
            env="envpool:Hopper-v4", num_envs=3, eval_every=30, eval_episodes=1, log_every=15,
            env_workers=threads,
        )  # fmt: skip

    train_in_parts(run(0), tmp_path / "straight")
    assert not train.train(run(1), tmp_path / "run", StopAt(30))
    assert train.train(run(2), tmp_path / "run", Listener())
    assert result_of(tmp_path / "run") == result_of(tmp_path / "straight")


def test_arguments_arrive_and_a_wrapper_is_refused():
    pytest.importorskip("envpool", reason="EnvPool is not installed")
    config = small_run(env="envpool:HalfCheetah-v4", env_kwargs={"max_episode_steps": 7})
    envs = make_envs(config)
    envs.reset([0, 1])
    over = [envs.step(action)[0].over.all() for action in actions_of(envs, 7)]
    assert over == [False] * 6 + [True]
    with pytest.raises(ValueError, match=r"one pool, .* leave out 'a:b', or train in HalfCheetah"):
        make_envs(small_run(env="envpool:HalfCheetah-v4", wrapper=("a:b",)))
    with pytest.raises(ValueError, match=r"does not take the env_kwargs \{'gravity': 1\}"):
        make_envs(small_run(env="envpool:HalfCheetah-v4", env_kwargs={"gravity": 1}))


def test_nothing_is_drawn_and_the_remedy_is_named():
    with pytest.raises(ValueError, match=r"no pictures.* --env names .*, HalfCheetah-v4"):
        drawn.make(small_run(env="envpool:HalfCheetah-v4"), "rgb_array")
