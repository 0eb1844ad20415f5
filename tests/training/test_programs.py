"""Compiled programs are kept for the next run of a process."""

import jax
import pytest

from jaxsac.runs import train
from jaxsac.training import driver, seed_axis
from jaxsac.training.drivers import make_driver
from jaxsac.training.programs import kept
from run_examples import FAST, Listener, small_run


@pytest.fixture
def compiled():
    """The names of what is compiled."""
    names, listening = [], True

    def hear(event, seconds, fun_name="", **facts):
        if listening and event.endswith("backend_compile_duration"):
            names.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(hear)
    yield names
    listening = False


@pytest.mark.parametrize("env", ["probe_environments:Drift-v0", "jaxsac:Pendulum-v1"])
def test_another_run_with_other_seeds_and_numbers_compiles_nothing(tmp_path, compiled, env):
    shape = {"env": env, "update_every": 10, "batch_size": 11}  # which no other test has compiled
    assert train.train(small_run(eval_every=20, **shape), tmp_path / "first", Listener())
    assert compiled
    del compiled[:]
    others = FAST.replace(actor_lr=0.02, gamma=0.8)
    config = small_run(eval_every=30, seed=7, hyperparameters=others, **shape)
    assert train.train(config, tmp_path / "second", Listener())
    assert compiled == []


@pytest.mark.parametrize("env", ["probe_environments:Drift-v0", "jaxsac:Pendulum-v1"])
def test_what_is_compiled_for_the_plan_is_what_learns(compiled, env):
    config = small_run(env=env, seeds=3, batch_size=9)
    axis, population = seed_axis.axis(config.population), config.to_population()
    made = make_driver(population, axis)
    made.compile(driver.learning_structs(population, made.observation, made.action))
    made.start()
    assert compiled
    del compiled[:]
    made.advance(1)
    made.close()
    assert compiled == []


def test_arguments_are_compared_by_value_and_those_without_a_hash_are_taken_too():
    made = []

    @kept
    def make(argument):
        made.append(argument)
        return len(made)

    assert [make((1, 2)), make((1, 2)), make((1, 3))] == [1, 1, 2]
    assert [make([1]), make([1])] == [3, 4]
