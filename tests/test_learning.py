"""Learning on real environments, from the defaults: minutes long, run by `make test-slow`."""

import numpy as np
import pytest

from jaxsac.runs import train
from jaxsac.runs.policies import evaluation
from jaxsac.runs.settings.config import RunConfig
from run_examples import Listener

pytestmark = pytest.mark.slow


def final_returns(config, directory):
    assert train.train(config, directory, Listener())
    return evaluation.evaluate_run(directory, episodes=50).deterministic.mean(axis=1)


def test_every_seed_solves_pendulum(tmp_path):
    config = RunConfig("Pendulum-v1", seeds=2, steps=12_000, learning_starts=1_000, eval_every=0)
    returns = final_returns(config, tmp_path / "run")
    assert (returns > -200).all(), returns


def test_half_cheetah_is_under_way_at_30_000_steps(tmp_path):
    # Ten published seeds reach about 1,900 by 30,000 steps; a broken update stays below 0.
    config = RunConfig("HalfCheetah-v4", seeds=2, steps=30_000, eval_every=0)
    returns = final_returns(config, tmp_path / "run")
    assert np.mean(returns) > 500, returns
