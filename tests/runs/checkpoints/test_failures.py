"""The flight recorder: the first update that was not finite can be repeated."""

import functools
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsac
from jaxsac.envs.step_result import StepResult
from jaxsac.runs import train
from jaxsac.runs.checkpoints import bundle, checkpoint, failures
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.policies.evaluation import explain_failure
from jaxsac.sac.diagnosis import explain
from jaxsac.training import flight_recorder, learner
from jaxsac.training.schedule import Work
from run_examples import Listener, assert_identical, member, small_run

VECTOR = jax.ShapeDtypeStruct((2,), jnp.float32)
learn_step = jax.jit(functools.partial(learner.learn_step, batch_size=4))


@pytest.fixture(scope="module")
def fresh():
    """Three members with a filled replay; in that of the second, some rewards are huge."""
    population = small_run(seeds=3, batch_size=4, replay_capacity=40).to_population()
    vectors = np.random.default_rng(0).normal(size=(3, 3, 40, 2)).astype(np.float32)
    carry = learner.init(population, vectors[0], VECTOR)._replace(action=np.tanh(vectors[1]))
    reward = np.zeros((3, 40), np.float32)
    reward[1, ::5] = 1e30
    valid = np.ones((3, 40), bool)
    result = StepResult(reward, np.ones_like(reward), vectors[2], valid, vectors[2], ~valid)
    return learn_step(carry, result, Work(0, False)), result._replace(valid=~valid)


def learn(fresh, num_updates):
    carry, nothing = fresh
    return learn_step(carry, nothing, Work(num_updates, False))


def test_it_holds_what_repeats_the_first_failure_whatever_came_after(fresh):
    after = learn(fresh, 20)
    assert after.agent.skipped[1] > 1, "it failed again"
    assert after.agent.step[1] > 0, "and went on"
    failure = flight_recorder.of_member(after.failure, 1)
    good = int(failure.agent.step)
    # All of it as it was after the updates before, and after those it had not failed yet.
    before = member(learn(fresh, good), 1)
    assert before.agent.skipped == 0
    assert_identical(failure.agent, before.agent)
    key = jax.random.wrap_key_data(failure.key)
    assert (failure.batch.reward > 1e29).any()
    again, metrics = jaxsac.update(failure.agent, failure.batch, key)
    assert not np.isfinite(metrics.critic_loss)
    assert again.skipped == failure.agent.skipped + 1
    key = fresh[0].key[1]
    for _ in range(good):
        key = jax.random.split(key, 3)[0]
    expected = jax.random.key_data(jax.random.split(key, 3)[2])
    np.testing.assert_array_equal(failure.key, expected)


def test_the_actors_step_that_failed_is_the_one_that_is_repeated():
    config = small_run(
        seeds=1, batch_size=4, replay_capacity=40, agent=jaxsac.Config((8,), actor_every=2),
        hyperparameters=jaxsac.Hyperparameters(target_entropy=-1e38, initial_alpha=1e30),
    )  # fmt: skip
    vectors = np.random.default_rng(0).normal(size=(3, 1, 40, 2)).astype(np.float32)
    carry = learner.init(config.to_population(), vectors[0], VECTOR)
    carry = carry._replace(action=np.tanh(vectors[1]))
    valid, reward = np.ones((1, 40), bool), np.zeros((1, 40), np.float32)
    result = StepResult(reward, np.ones_like(reward), vectors[2], valid, vectors[2], ~valid)
    after = learn_step(carry, result, Work(1, False))
    assert after.agent.skipped.tolist() == [1]
    failure = flight_recorder.of_member(after.failure, 0)
    said = explain(failure.agent, failure.batch, jax.random.wrap_key_data(failure.key))
    assert any("first term that is not finite" in line for line in said)


def test_members_that_did_not_fail_hold_nothing(fresh):
    after = learn(fresh, 20)
    assert (after.agent.skipped > 0).tolist() == [False, True, False]
    assert after.failure.size.tolist() == [0, 1, 0]
    for rows in after.failure.rows.values():
        assert not rows[0].any()
        assert not rows[2].any()


def test_they_are_written_once_and_read_back(fresh, tmp_path):
    carry = learn(fresh, 20)
    members = ["seed-0007", "seed-0008", "seed-0009"]
    assert failures.record(tmp_path, members, 5, carry) == [tmp_path / "seed-0008"]
    assert failures.record(tmp_path, members, 6, learn(fresh, 30)) == []
    loaded = failures.load(tmp_path / "seed-0008", jax.eval_shape(lambda: carry))
    assert_identical(loaded, flight_recorder.of_member(carry.failure, 1))
    assert bundle.verify(tmp_path / "seed-0008")["step"] == 5


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    config = small_run(env="probe_environments:Huge-v0", seed=5, num_envs=2, checkpoint_every=20)
    directory, listener = tmp_path_factory.mktemp("failed") / "run", Listener()
    assert train.train(config, directory, listener)
    return config, directory, listener.messages


def test_a_run_says_that_an_update_failed_and_how_to_see_why(failed):
    _, directory, messages = failed
    for k in (5, 6):
        folder = directory / "failures" / f"seed-000{k}"
        assert sum(f"jaxsac replay-failure {folder}" in text for text in messages) == 1
        findings = explain_failure(folder)
        assert any("batch.reward: up to 1e+30" in text for text in findings)
        assert any("first term that is not finite: critic_loss = inf" in text for text in findings)


def test_a_failure_is_explained_without_its_environment(failed, monkeypatch):
    def fail(*arguments):
        raise ModuleNotFoundError("no simulator here")

    monkeypatch.setattr(train, "make_driver", fail)
    assert explain_failure(failed[1] / "failures" / "seed-0005")
    with pytest.raises(ValueError, match=r"is a run: give one of .*failures, seed-"):
        explain_failure(failed[1])


def test_a_run_that_goes_on_after_a_failure_keeps_it(failed, tmp_path):
    config, directory, _ = failed
    shutil.copytree(directory, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "60")
    kept = (directory / "failures" / "seed-0006" / "failure.safetensors").read_bytes()
    listener = Listener()
    (tmp_path / "run" / "manifest.json").write_text(
        (directory / "manifest.json").read_text().replace('"finished": true', '"finished": false')
    )
    assert train.train(config, tmp_path / "run", listener)
    assert any("resumes at step 40" in text for text in listener.messages)
    assert not any("not finite" in text for text in listener.messages)
    for part in ("failure", "agent"):
        assert (tmp_path / "run" / "checkpoints" / "60" / f"{part}.safetensors").read_bytes() == (
            directory / "checkpoints" / "60" / f"{part}.safetensors"
        ).read_bytes()
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [40, 60]
    assert (tmp_path / "run/failures/seed-0006/failure.safetensors").read_bytes() == kept


def test_a_failure_that_is_damaged_or_missing_is_named(failed, tmp_path):
    _, directory, _ = failed
    shutil.copytree(directory, tmp_path / "run")
    file = tmp_path / "run" / "failures" / "seed-0005" / "failure.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(BundleError, match=r"seed-0005/failure\.safetensors is damaged"):
        explain_failure(file.parent)
    with pytest.raises(BundleError, match=r"seed-0009 does not exist: no update"):
        explain_failure(file.parent.with_name("seed-0009"))
