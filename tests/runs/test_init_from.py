"""Whose agents a run begins with."""

import numpy as np
import pytest

import jaxsac
from jaxsac.runs.train import train
from run_examples import Listener, small_run


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
    assert "at step 60 and 66" in said
    # A seed that the source lacks takes one of its agents in turn.
    for seed, of in ((0, 0), (1, 1), (2, 0)):
        found, expected = (
            jaxsac.load_policy(*which)(np.ones((1, 2)))
            for which in ((tmp_path / "begun", seed), (source, of))
        )
        np.testing.assert_array_equal(found, expected)
