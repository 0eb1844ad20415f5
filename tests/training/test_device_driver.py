"""Runs whose environments live on the device, from the outside."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsac
from jaxsac.envs.fitness import check_in_jax
from jaxsac.envs.in_jax import device, families
from jaxsac.runs import train
from jaxsac.runs.checkpoints import checkpoint
from jaxsac.runs.metrics import metrics
from jaxsac.runs.policies import evaluation
from jaxsac.sac import agent as sac
from jaxsac.training import device_driver, device_loop, seed_axis
from jaxsac.training.carry import Policy
from jaxsac.training.drivers import make_driver
from run_examples import (
    LOOP,
    NET,
    Listener,
    Short,
    StopAt,
    agent_of,
    result_of,
    small_run,
    train_in_parts,
)


@pytest.fixture(scope="module", autouse=True)
def environments():
    kinds = {"Short": Short, "Faulty": lambda: Short(fast=2.0)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(families.FAMILIES, "probe", lambda name: kinds[name]())
        yield


@pytest.fixture(scope="module")
def config():
    return small_run(
        env="probe:Short", seeds=2, num_envs=3, steps=84, log_every=7, eval_every=28,
        checkpoint_every=14, learning_starts=21,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    directory = tmp_path_factory.mktemp("finished")
    assert train.train(config, directory, Listener())
    return directory


@pytest.fixture(scope="module")
def straight(finished):
    return result_of(finished)


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(config, straight, tmp_path):
    train_in_parts(config, tmp_path / "run", 15, 57)
    assert result_of(tmp_path / "run") == straight


def test_a_damaged_checkpoint_costs_steps_and_nothing_else(config, straight, tmp_path):
    assert not train.train(config, tmp_path / "run", StopAt(36))
    (file,) = (tmp_path / "run" / "checkpoints" / "36").glob("environments.*")
    file.write_bytes(file.read_bytes()[:-1])
    train_in_parts(config, tmp_path / "run")
    assert result_of(tmp_path / "run") == straight


def test_how_long_chunks_are_changes_nothing(config, straight, tmp_path, monkeypatch):
    monkeypatch.setattr(device_driver.DeviceDriver, "_adapt", lambda *_: None)
    assert train.train(config, tmp_path / "short", Listener())  # one step a chunk
    assert result_of(tmp_path / "short") == straight


def test_rows_come_where_they_are_asked_for(config, finished):
    rows = metrics.read(metrics.path(finished / "metrics", "seed-0000"))
    # The first multiple of 3 at or above each multiple of 7.
    assert [row["step"] for row in rows] == [9, 15, 21, 30, 36, 42, 51, 57, 63, 72, 78, 84]
    assert [row["step"] for row in rows if row["eval_return"] is not None] == [30, 57, 84]
    assert all(row["utd"] == 1 for row in rows if row["utd"] is not None)
    assert rows[-1]["updates"] == 63
    assert agent_of(finished, config).step.tolist() == [63, 63]
    # Three copies end an episode every 9 steps, that is every 27 transitions.
    assert sum(row["train_episodes"] for row in rows) == 9
    assert {row["train_length"] for row in rows} == {None, 9}
    assert all(-16.3 * 9 <= row["train_return"] < 0 for row in rows if row["train_return"])


def test_an_evaluation_is_that_of_episodes_played_one_step_at_a_time(config):
    agent = sac.init(jax.random.key(0), Short().observation, Short().action, NET)
    policy = Policy(agent, normalizer=())
    env, key = Short(), jax.random.key(5)
    evaluate = functools.partial(device_loop.evaluate, env=env, episodes=4, sampled=False)
    returns, lengths = jax.jit(functools.partial(evaluate, longest=9))(policy, key)
    given_up, given_up_lengths = jax.jit(functools.partial(evaluate, longest=8))(policy, key)
    assert jnp.isnan(given_up).all()
    assert not given_up_lengths.any()
    envs = jax.jit(lambda key: device.reset(env, jax.random.split(key)[0], 4))(key)
    step = jax.jit(functools.partial(device.step, env))
    total = np.zeros(4)
    for _ in range(9):
        envs, result, _ = step(envs, sac.act(agent, envs.state.observation))
        total += result.reward
    np.testing.assert_allclose(returns, total, rtol=1e-5)
    np.testing.assert_array_equal(lengths, 9)


def test_evaluations_of_members_and_of_steps_have_keys_of_their_own(config):
    def keys_of(step, **changes):
        run = dataclasses.replace(config, **changes)
        driver = make_driver(run.to_population(), seed_axis.axis(run.population))
        assert isinstance(driver, device_driver.DeviceDriver)
        return jax.random.key_data(driver._evaluation_keys(step)).tolist()

    together = keys_of(30) + keys_of(57)
    assert len({tuple(key) for key in together}) == 4
    assert together == [keys_of(step, seed=k, seeds=1)[0] for step in (30, 57) for k in (0, 1)]


def test_a_saved_policy_repeats_its_runs_own_last_evaluation(finished):
    found = evaluation.evaluate_run(finished, "latest", 2)
    assert found.members[1].step == 84
    last = metrics.read(metrics.path(finished / "metrics", "seed-0001"))[-1]
    assert f"{found.deterministic[1].mean():.6g}" == f"{last['eval_return']:.6g}"
    assert (found.sampled != found.deterministic).all()


def test_all_that_can_be_carried_is_part_of_a_run(config, tmp_path):
    config = dataclasses.replace(config, normalize_observations=True, **LOOP)
    assert train.train(config, tmp_path / "straight", Listener())
    train_in_parts(config, tmp_path / "run", 15, 57)
    assert result_of(tmp_path / "run") == result_of(tmp_path / "straight")
    tensors = result_of(tmp_path / "run")[1]
    assert "normalizer.safetensors" in tensors
    for name in (b"window/rows/reward", b"return_scale/sums", b"noise/left", b"resets/key"):
        assert name in tensors["learning.safetensors"]
    deterministic = evaluation.evaluate_run(tmp_path / "run", "latest", 2).deterministic
    last = metrics.read(metrics.path(tmp_path / "run" / "metrics", "seed-0001"))[-1]
    assert f"{deterministic[1].mean():.6g}" == f"{last['eval_return']:.6g}"
    assert last["reward_divisor"] is not None
    assert last["reward_divisor"] > 1, "a step costs up to 16"


def test_steps_that_are_not_finite_are_counted_and_kept_out(config, tmp_path):
    faulty = small_run(env="probe:Faulty", steps=300, learning_starts=100, log_every=100)
    assert train.train(faulty, tmp_path / "run", Listener())
    rows = metrics.read(metrics.path(tmp_path / "run" / "metrics", "seed-0000"))
    discarded = rows[-1]["discarded"]
    assert discarded is not None
    assert discarded > 0
    assert rows[-1]["skipped"] == 0
    folder = tmp_path / "run" / "checkpoints"
    sizes = checkpoint.verify(folder, 300)["replay_sizes"]
    assert sizes[0] == min(200, 300 - discarded)
    train_in_parts(faulty, tmp_path / "parts", 200)
    assert result_of(tmp_path / "parts") == result_of(tmp_path / "run")


def test_an_unknown_name_of_ours_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"'jaxsac:Robot'.*jaxsac:Pendulum-v1"):
        families.make_in_jax("jaxsac:Robot")
    assert families.make_in_jax("HalfCheetah-v4") is None
    assert families.make_in_jax("my_module:Robot-v0") is None


def test_an_environment_that_contradicts_itself_is_refused_before_anything_is_written(tmp_path):
    class Wrong(Short):
        @property
        def observation(self):
            return jax.ShapeDtypeStruct((5,), jnp.float32)

    directory = tmp_path / "run"
    with pytest.raises(ValueError, match=r"returns observations .* one of the two is wrong") as it:
        jaxsac.train(Wrong, directory=directory, steps=10)
    assert not hasattr(it.value, "__notes__"), "one line for a person"
    assert not directory.exists()


@jax.tree_util.register_pytree_node_class
class Node:
    """A state of a user's own that does not know when it is equal to another."""

    def __init__(self, observation, reward, terminated):
        self.observation, self.reward, self.terminated = observation, reward, terminated

    def tree_flatten(self):
        return (self.observation, self.reward, self.terminated), None

    @classmethod
    def tree_unflatten(cls, _, leaves):
        return cls(*leaves)


class Alike(NamedTuple):
    """Of the same numbers, and yet another state."""

    observation: Any
    reward: Any
    terminated: Any


@pytest.mark.parametrize(("states", "sound"), [((Node, Node), True), ((Node, Alike), False)])
def test_a_state_may_be_of_any_class_and_stays_of_it(states, sound):
    class Still:
        observation = jax.ShapeDtypeStruct((1,), jnp.float32)
        action = jax.ShapeDtypeStruct((1,), jnp.float32)
        time_limit = 5

        def reset(self, key):
            return states[0](jnp.zeros(1), jnp.zeros(()), jnp.zeros((), bool))

        def step(self, state, action):
            return states[1](state.observation, state.reward, state.terminated)

    said = check_in_jax.contradiction(Still())
    assert said is None if sound else said.startswith("step makes Alike(")


def test_an_environment_that_is_not_pure_is_named_before_it_trains(monkeypatch):
    class Counting(Short):
        count = 0

        def step(self, state, action):
            self.count += 1
            return super().step(state, action).replace(reward=jnp.float32(self.count))

    config = small_run(env="probe:Counting", seeds=1)
    for made, said in ((Counting(), 1), (Short(), 0)):
        monkeypatch.setitem(families.FAMILIES, "probe", lambda _, made=made: made)
        driver = make_driver(config.to_population(), seed_axis.axis(1))
        assert sum("probe:Counting: step is not pure" in text for text in driver.remarks) == said
