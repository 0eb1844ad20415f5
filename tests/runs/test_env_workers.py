"""Runs whose environments live in worker processes."""

import multiprocessing

import pytest

from jaxsac.envs.parallel import WorkerError
from jaxsac.runs import train
from jaxsac.training import memory
from run_examples import Listener, StopAt, result_of, small_run, train_in_parts


def run(workers, **changes):
    return small_run(
        env="probe_environments:Scripted-v0", num_envs=3, eval_every=30, eval_envs=0, log_every=15,
        env_workers=workers, **changes,
    )  # fmt: skip


def test_how_many_workers_there_are_changes_nothing_also_between_resumes(tmp_path):
    train_in_parts(run(0, seeds=1), tmp_path / "in turn")
    # Three copies in two workers, two of them in the first.
    assert not train.train(run(2, seeds=1), tmp_path / "run", StopAt(30))
    messages = train_in_parts(run(1, seeds=1), tmp_path / "run")
    assert any("resumes at step 30" in text for text in messages)
    assert result_of(tmp_path / "run") == result_of(tmp_path / "in turn")


def test_a_worker_that_is_killed_costs_nothing_that_was_learned(tmp_path, monkeypatch):
    monkeypatch.setenv("HAPPENED", str(tmp_path / "happened"))
    facts = {"seeds": 1, "seed": 3}
    config = small_run(env="probe_environments:KilledOnce-v0", env_workers=1, **facts)
    with pytest.raises(WorkerError, match="ended by SIGKILL") as raised:
        train.train(config, tmp_path / "run", Listener())
    where, saved = raised.value.__notes__
    assert where.endswith(f"a worker process with {config.env}, seed 3.")
    assert "44 transitions per seed, is saved" in saved
    train_in_parts(config, tmp_path / "run")
    train_in_parts(small_run(env="probe_environments:Drift-v0", **facts), tmp_path / "straight")
    assert result_of(tmp_path / "run") == result_of(tmp_path / "straight")


def test_a_run_that_is_refused_leaves_no_worker(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda device: 1000)
    with pytest.raises(MemoryError, match="does not fit"):
        train.train(run(1), tmp_path / "run", Listener())
    assert not multiprocessing.active_children()


def test_an_environment_in_jax_takes_no_workers(tmp_path):
    config = small_run(env="jaxsac:Pendulum-v1", env_workers=2)
    with pytest.raises(ValueError, match=r"steps on the device.*env_workers 2"):
        train.train(config, tmp_path / "run", Listener())
    assert not (tmp_path / "run" / "manifest.json").exists()
