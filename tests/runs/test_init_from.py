"""Whose agents a run begins with."""

import dataclasses

import jax
import numpy as np
import optax
import pytest

import jaxsac
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.init_from import Group, Source
from jaxsac.runs.train import train
from run_examples import FAST, NET, Listener, agent_of, is_identical, small_run


@pytest.mark.parametrize("replay", [False, True])
def test_a_seed_begins_with_its_own_agent_also_if_that_was_added_later(tmp_path, replay):
    source = tmp_path / "source"
    assert train(small_run(seed=0, seeds=1), source, Listener())
    added = small_run(seed=1, seeds=1, steps=66)
    assert train(added, source / "more-seeds" / "0001-0001", Listener())
    listener = Listener()
    frozen = jaxsac.Hyperparameters(actor_lr=0.0, critic_lr=0.0, alpha_lr=0.0, tau=0.0)
    # Updates are counted from 0, so that nothing starts anew after those 40 of the source.
    begun = small_run(
        init_from=str(source), init_replay=replay, seeds=3, hyperparameters=frozen, reset_every=40
    )
    assert train(begun, tmp_path / "begun", listener)
    (said,) = [text for text in listener.messages if "begins with the agents" in text]
    assert said.endswith(" and 60 transitions of replay." if replay else "at step 60 and 66.")
    # A seed that the source lacks takes one of its agents in turn.
    for seed, of in ((0, 0), (1, 1), (2, 0)):
        found, expected = (
            jaxsac.load_policy(*which)(np.ones((1, 2)))
            for which in ((tmp_path / "begun", seed), (source, of))
        )
        np.testing.assert_array_equal(found, expected)


def test_schedules_of_learning_rates_begin_anew(tmp_path):
    """After the source's forty updates its rates are zero for ever."""
    agent = dataclasses.replace(NET, lr_schedule="linear")
    short = FAST.replace(schedule_updates=30.0, final_lr_scale=0.0)
    source = small_run(seeds=1, agent=agent, hyperparameters=short)
    assert train(source, tmp_path / "source", Listener())
    begun = dataclasses.replace(source, init_from=str(tmp_path / "source"), steps=30)
    assert train(begun, tmp_path / "begun", Listener())
    before, after = (
        agent_of(tmp_path / name, run) for name, run in (("source", source), ("begun", begun))
    )
    (count,) = (
        x.count
        for x in jax.tree.leaves(after.critic.opt_state, is_leaf=is_schedule)
        if is_schedule(x)
    )
    assert count == after.step == 10
    moments = before.critic.opt_state[0].count, after.critic.opt_state[0].count
    assert moments == (40, 50)
    assert not is_identical(before.critic.params, after.critic.params)


def is_schedule(node):
    return isinstance(node, optax.ScaleByScheduleState)


def policies(run, seeds, points=(None,)):
    one = np.ones((1, 2))
    return [jaxsac.load_policy(run, seed, point=p)(one) for p in points for seed in seeds]


FROZEN = jaxsac.Hyperparameters(actor_lr=0.0, critic_lr=0.0, alpha_lr=0.0, tau=0.0)


def test_agents_that_no_seed_has_are_taken_before_one_is_taken_twice(tmp_path):
    source = Source.__new__(Source)
    run = RunDirectory(tmp_path)
    source._groups = [Group(run, small_run(seeds=2), 60, {}), Group(run, small_run(seed=2), 60, {})]

    def chosen(**seeds):
        return [
            group.config.seed + index for group, index in source._agents_at(small_run(**seeds), 0)
        ]

    assert chosen(seed=1, seeds=5) == [1, 2, 3, 0, 0]
    assert chosen(seed=9, seeds=6) == [0, 1, 2, 3, 0, 1]
    assert chosen(seed=0, seeds=6) == [0, 1, 2, 3, 0, 1]


def test_of_a_sweep_a_member_begins_with_the_agent_of_its_own_point(tmp_path):
    gammas = FROZEN.replace(gamma=(0.8, 0.9), actor_lr=0.01, critic_lr=0.01)
    source = tmp_path / "source"
    assert train(small_run(seeds=2, hyperparameters=gammas), source, Listener())
    turned = small_run(
        init_from=str(source), seeds=2, hyperparameters=FROZEN.replace(gamma=(0.9, 0.8))
    )
    assert train(turned, tmp_path / "turned", Listener())
    expected = policies(source, (0, 1), points=(1, 0))
    np.testing.assert_array_equal(policies(tmp_path / "turned", (0, 1), points=(0, 1)), expected)
    other = small_run(init_from=str(source), hyperparameters=FROZEN.replace(gamma=0.7))
    with pytest.raises(BundleError, match=r"sweep over gamma=0.8; gamma=0.9, .* gamma 0.7: give"):
        train(other, tmp_path / "other", Listener())
