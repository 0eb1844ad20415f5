import jax
import numpy as np
import pytest

import jaxsac
from jaxsac import load_policy
from jaxsac.envs import host
from jaxsac.envs.fitness import time_limit
from jaxsac.runs import train
from jaxsac.runs.checkpoints import checkpoint
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.directory.directory import RunDirectoryError
from jaxsac.runs.metrics import metrics
from jaxsac.runs.policies import evaluation
from jaxsac.training import evaluate, seed_axis
from jaxsac.training.drivers import make_driver
from jaxsac.training.population import EVALUATION_STREAM
from probe_environments import Drift, Faulty
from run_examples import Group, Listener, agent_of, assert_identical, make_envs, small_run


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "normalized"])
def run(tmp_path_factory, request):
    directory = tmp_path_factory.mktemp("run") / "run"
    config = small_run(seed=5, eval_every=30, eval_episodes=3, normalize_observations=request.param)
    train.train(config, directory, Listener())
    return directory, config


def still(observation):
    return np.zeros((*observation.shape[:2], 2), np.float32)


def test_returns_and_lengths_are_those_of_the_episodes():
    envs = make_envs(small_run(num_envs=3))
    result = evaluate.evaluate(envs, still, [0, 1], step=40)
    assert (result.lengths == 10).all()
    numbers = evaluate.seeds_of_members([0, 1], (EVALUATION_STREAM, 40), 3)
    for number, actual in zip(numbers, result.returns.ravel(), strict=True):
        env = Drift()
        env.reset(seed=number)
        expected = sum(env.step(np.zeros(2, np.float32))[1] for _ in range(10))
        np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("env", ["probe_environments:Drift-v0", "jaxsac:Pendulum-v1"])
def test_an_evaluation_that_is_prepared_compiles_nothing_more(env, caplog):
    config = small_run(env=env, seeds=1, agent=jaxsac.Config(hidden_sizes=(9,)))  # of its own
    driver = make_driver(config.to_population(), seed_axis.axis(1))
    driver.start()
    with jax.log_compiles():
        driver.prepare_evaluation(2)
        assert any("Compiling jit(compiled)" in line for line in caplog.messages)
        caplog.clear()
        driver.evaluate(driver.learning.policy, 0, 2, sampled=False)
    assert not any("Compiling jit(compiled)" in line for line in caplog.messages)


def of_length(length, *arguments, **options):
    env = Faulty(*arguments, **options)
    env.LENGTH = length
    return env


def evaluate_two(*envs):
    still = np.zeros((1, 2, 1), np.float32)
    return evaluate.evaluate(host.HostEnvs(envs, 1), lambda _: still, [0], step=0)


def test_only_the_first_episode_of_each_environment_counts():
    result = evaluate_two(of_length(2, "nowhere"), of_length(9, "nowhere"))
    assert result.lengths.tolist() == [[2, 9]]
    assert result.returns.tolist() == [[3, 45]]


def test_an_evaluation_can_be_repeated_exactly_and_depends_on_member_and_step_alone():
    envs = make_envs(small_run(num_envs=3))
    first = evaluate.evaluate(envs, still, [0, 1], step=40)
    other = evaluate.evaluate(envs, still, [0, 1], step=80)
    again = evaluate.evaluate(envs, still, [0, 1], step=40)
    assert_identical(again, first)
    assert (other.returns != first.returns).all()
    swapped = evaluate.evaluate(envs, still, [1, 0], step=40)
    assert_identical(swapped.returns[::-1], first.returns)


@pytest.mark.parametrize("where", ["observation", "reward"])
def test_an_episode_that_is_not_finite_has_the_return_nan_and_spoils_no_other(where):
    result = evaluate_two(Faulty(where, episode=0), Faulty("nowhere"))
    np.testing.assert_array_equal(result.returns, [[np.nan, 21]])


def test_a_fault_after_the_first_episode_does_not_matter():
    short = of_length(2, "reward", episode=1, step=1)
    result = evaluate_two(short, Faulty("nowhere"))
    np.testing.assert_array_equal(result.returns, [[3, 21]])
    assert short.episode > 1, "the fault came"


def test_an_evaluation_that_has_no_end_is_given_up_with_everything_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(time_limit, "LONGEST_EPISODE", 9)
    monkeypatch.setattr(time_limit, "SECONDS", 0.0)  # too few to see it before the run
    assert train.train(small_run(eval_every=30), tmp_path / "limit of 10", Listener())
    endless = small_run(eval_every=30, env="probe_environments:Endless-v0")
    with pytest.raises(ValueError, match=r"no end after 9 steps.*max_episode_steps"):
        train.train(endless, tmp_path / "endless", Listener())
    assert checkpoint.steps(tmp_path / "endless" / "checkpoints") == [30]


def test_the_mode_is_deterministic_and_samples_are_not():
    policy = Group([0, 1]).carry.policy
    policies = evaluate.Policies(seed_axis.axis(1))
    observation = np.ones((2, 3, 2), np.float32)
    mode, sampled = policies.mode(policy), policies.sampled(policy, [0, 1], 10)
    np.testing.assert_array_equal(mode(observation), mode(observation))
    first, second = sampled(observation), sampled(observation)
    assert (first != second).all()
    assert len(np.unique(first)) == first.size
    # The same keys again, from the members' numbers and the step; at another step others.
    np.testing.assert_array_equal(policies.sampled(policy, [0, 1], 10)(observation), first)
    assert (policies.sampled(policy, [0, 1], 20)(observation) != first).all()
    np.testing.assert_allclose(mode(observation)[0, 0], mode(observation)[0, 1])


def test_a_saved_policy_repeats_its_runs_own_last_evaluation(run):
    directory, config = run
    found = evaluation.evaluate_run(directory, "latest", 3)
    assert found.env == config.env
    for name, label, one in zip(
        config.member_names, config.member_labels, found.members, strict=True
    ):
        last = metrics.read(metrics.path(directory / "metrics", name))[-1]
        assert (one.label, one.step) == (label, 60)
        assert f"{one.deterministic.mean():.6g}" == f"{last['eval_return']:.6g}"
        assert f"{one.deterministic.std():.6g}" == f"{last['eval_return_std']:.6g}"
        assert (one.sampled != one.deterministic).all()


def test_the_policy_of_one_seed_acts_alone_as_it_does_in_its_run(run):
    directory, config = run
    name = config.member_names[1]
    policy = load_policy(directory, config.member_seeds[1])
    returns = []
    for number in evaluate.seeds_of_members([config.member_seeds[1]], (EVALUATION_STREAM, 60), 3):
        env = Drift()
        observation, _ = env.reset(seed=number)
        rewards = []
        for _ in range(10):
            observation, reward, *_ = env.step(policy(observation))
            rewards.append(reward)
        returns.append(sum(rewards))
    last = metrics.read(metrics.path(directory / "metrics", name))[-1]
    np.testing.assert_allclose(np.mean(returns), last["eval_return"], rtol=1e-5)


def test_more_episodes_begin_with_the_same_ones(run):
    directory, _ = run
    three, five = (evaluation.evaluate_run(directory, 60, count).members for count in (3, 5))
    for few, more in zip(three, five, strict=True):
        np.testing.assert_allclose(more.deterministic[:3], few.deterministic, rtol=1e-5)


def test_an_evaluation_of_a_run_changes_no_file(run):
    directory, _ = run
    before = {f: f.stat().st_mtime_ns for f in directory.rglob("*")}
    evaluation.evaluate_run(directory, "latest", 1)
    assert {f: f.stat().st_mtime_ns for f in directory.rglob("*")} == before


def test_what_cannot_be_evaluated_is_refused(run, tmp_path):
    directory, _ = run
    with pytest.raises(ValueError, match="episodes"):
        evaluation.evaluate_run(directory, "latest", 0)
    with pytest.raises(BundleError, match="holds none of step 12"):
        evaluation.evaluate_run(directory, 12, 1)
    with pytest.raises(RunDirectoryError, match="not a run directory"):
        evaluation.evaluate_run(tmp_path, "latest", 1)


def test_a_checkpoint_of_another_group_is_refused(run, tmp_path):
    config = run[1]
    train.train(small_run(seed=5, seeds=1), tmp_path / "other", Listener())
    with pytest.raises(BundleError, match=r"expected .*\(2,"):
        agent_of(tmp_path / "other", config)
