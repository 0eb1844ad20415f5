"""Evaluation in fewer copies of an environment than it has episodes, and in none of its own."""

import dataclasses
import time

import gymnasium
import numpy as np
import pytest

import jaxsac
from jaxsac.runs.policies.evaluation import evaluate_run
from jaxsac.training.copies import examine_first, make_envs, make_evaluation_envs
from probe_environments import Drift
from run_examples import small_run

SMALL = {
    "steps": 60, "learning_starts": 20, "batch_size": 8, "replay_capacity": 200, "eval_every": 30,
    "eval_episodes": 3, "log_every": 20, "hidden_sizes": [8], "progress": False,
}  # fmt: skip


class OneOnly(Drift):
    """A simulator of which only so many can exist at once."""

    alive, most = 0, 1

    def __init__(self, low=-1.0, high=1.0):
        if OneOnly.alive >= OneOnly.most:
            raise OSError(98, "Address already in use")
        OneOnly.alive += 1
        super().__init__(low, high)

    def close(self):
        OneOnly.alive -= 1


def one_only():
    # Not a divisor of 30, so that an evaluation comes in the middle of an episode.
    return gymnasium.wrappers.TimeLimit(OneOnly(), 7)


def wide():
    return gymnasium.wrappers.TimeLimit(Drift(-2.0, 2.0), 7)


@pytest.fixture(autouse=True)
def none_alive():
    yield
    assert OneOnly.alive == 0, "all are closed"


def trained(directory, most, **changes):
    OneOnly.most = most
    return jaxsac.train(one_only, directory=directory, **{**SMALL, **changes})


def columns(run):
    return {name: run.metrics[name] for name in ("eval_return", "train_return", "critic_loss")}


@pytest.fixture(scope="module")
def plenty(tmp_path_factory):
    """A run in as many copies as it asks for."""
    return trained(tmp_path_factory.mktemp("plenty") / "run", 10)


@pytest.mark.parametrize(("most", "asked"), [(1, None), (1, 0), (2, None), (3, 2), (4, 1)])
def test_how_many_copies_there_are_changes_neither_learning_nor_evaluation(
    plenty, tmp_path, most, asked
):
    few = trained(tmp_path / "few", most, eval_envs=asked)
    for name, column in columns(plenty).items():
        np.testing.assert_allclose(columns(few)[name], column, rtol=1e-5, err_msg=name)


def test_as_many_copies_as_are_asked_for_or_an_error(tmp_path):
    with pytest.raises(OSError, match="Address already in use"):
        trained(tmp_path / "run", 2, eval_envs=2)
    assert not (tmp_path / "run").exists()


class OpenEnded(OneOnly):
    def __init__(self):
        super().__init__()
        self.action_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))


def bounded(env):
    return gymnasium.wrappers.TransformAction(
        env, lambda action: action, gymnasium.spaces.Box(-1, 1, (2,))
    )


def test_what_is_refused_is_closed_so_that_the_remedy_can_be_followed(tmp_path):
    OneOnly.most = 1
    config = small_run(env="test_copies:OpenEnded", seeds=1)
    with pytest.raises(ValueError, match="is unbounded"):
        make_envs(config.to_population(), 1)
    config = dataclasses.replace(config, wrapper=("test_copies:bounded",))
    make_envs(config.to_population(), 1).close()


class TakenOver(Drift):
    """A simulator whose newest client is its only one."""

    newest = None

    def __init__(self):
        super().__init__()
        TakenOver.newest = self

    def step(self, action):
        if TakenOver.newest is not self:
            raise ConnectionResetError("another client took the simulator over")
        return super().step(action)


def test_where_no_copy_is_to_be_made_beside_those_that_train_none_is():
    population = small_run(env="test_copies:TakenOver", seeds=1, eval_envs=0).to_population()
    envs = make_envs(population, 1)
    assert examine_first(envs, population).alone is None
    envs.reset([0])
    envs.step(np.zeros((1, 1, 2), np.float32))


class Waits(OneOnly):
    """Is not made before there is room."""

    def __init__(self):
        if OneOnly.alive >= OneOnly.most:
            time.sleep(60)
        super().__init__()


def test_copies_that_wait_for_the_first_to_go_are_done_without():
    OneOnly.most = 1
    population = small_run(env="test_copies:Waits", seeds=1, env_timeout=0.3).to_population()
    envs = make_envs(population, 1)
    copies, said = make_evaluation_envs(population, 3)
    assert copies is None
    assert "no answer within 0.3 seconds (--env-timeout)" in str(said)
    assert examine_first(envs, population).alone is None
    envs.close()


def test_a_run_is_evaluated_without_a_copy_to_train_in_and_in_other_environments(plenty):
    run, OneOnly.most = plenty, 1
    alone = evaluate_run(run.directory, "latest", 3)
    np.testing.assert_allclose(alone.deterministic.mean(), run.returns.values[0, -1], rtol=1e-5)
    other = evaluate_run(run.directory, "latest", 3, {"env": "test_copies:wide"})
    assert other.env == "test_copies:wide"
    assert OneOnly.alive == 0
    best = evaluate_run(run.directory, "best", 3)
    assert not np.isclose(best.deterministic, alone.deterministic).any(), "from other states"
    with pytest.raises(ValueError, match=r"Pendulum-v1 has observations .* see"):
        evaluate_run(run.directory, "latest", 3, {"env": "Pendulum-v1"})
