"""What is compared differs in the prior data alone, which is of none of the seeds compared."""

import dataclasses
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "experiments" / "prior_data"))

import prior_data
from prior_data import Study


def test_the_runs_that_are_compared_differ_in_prior_data_alone():
    study = Study()
    without, with_data = study.config("without"), study.config("with")
    assert dataclasses.replace(without, prior_data=with_data.prior_data) == with_data
    assert with_data.prior_rows == with_data.batch_size // 2
    assert without.prior_rows == 0


def test_the_policy_of_the_data_acts_without_a_warm_up_and_does_not_learn():
    study = Study()
    collect = study.config("collect")
    assert not collect.schedule.explores
    assert collect.schedule.updates_due(collect.steps) == 0
    assert not set(study.config("with").member_seeds) & {collect.seed, study.config("expert").seed}


@pytest.mark.slow
def test_the_whole_study_runs_and_draws(tmp_path):
    study = Study(
        env="Pendulum-v1", rows=600, expert_steps=11_000, seeds=2, steps=1_000,
        learning_starts=500, runs=tmp_path / "runs", results=tmp_path / "results",
    )  # fmt: skip
    prior_data.main(study)
    prior_data.main(dataclasses.replace(study, draw_only=True))
    assert (tmp_path / "results" / "Pendulum-v1" / "returns.png").stat().st_size > 10_000
