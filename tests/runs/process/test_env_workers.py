"""Runs whose environments live in worker processes."""

import dataclasses
import multiprocessing
import time
from typing import Any

import pytest

import probe_environments
from jaxsac import named
from jaxsac.envs.copies.parallel import WorkerError
from jaxsac.runs import train
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.process import env_workers
from jaxsac.training import memory
from run_examples import FLAT, Listener, StopAt, result_of, small_run, train_in_parts


def run(workers, **changes):
    return small_run(
        env="probe_environments:Scripted-v0", num_envs=3, eval_every=30, eval_envs=0, log_every=15,
        agent=FLAT, env_workers=workers, **changes,
    )  # fmt: skip


def test_how_many_workers_there_are_changes_nothing_also_between_resumes(tmp_path):
    train_in_parts(run(0), tmp_path / "in turn")
    # Six copies in four workers, two to each of the first two.
    assert not train.train(run(4), tmp_path / "run", StopAt(30))
    messages = train_in_parts(run(1), tmp_path / "run")
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


class Slow(probe_environments.Drift):
    """Takes longer than `env_workers.SLOW`, and ends each episode after its second step."""

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return super().reset(seed=seed)

    def step(self, action) -> Any:
        time.sleep(0.003)
        self.steps += 1
        assert self.steps <= 2
        return (*super().step(action)[:3], self.steps == 2, {})


@pytest.mark.parametrize(
    ("env", "cores", "changes", "workers", "reason"),
    [
        ("test_env_workers:Slow", 4, {"num_envs": 3}, 4, "6 copies and 4 cores"),
        ("test_env_workers:Slow", 16, {"num_envs": 3}, 6, "6 copies and 16 cores"),
        ("test_env_workers:Slow", 16, {"seeds": 1}, 0, "1 copies"),
        ("probe_environments:Drift-v0", 16, {}, 0, "workers pay from 2 ms on"),
        ("jaxsac:Pendulum-v1", 16, {}, 0, "as jaxsac:Pendulum-v1 steps on the device"),
        ("envpool:Hopper-v4", 16, {}, 0, "which is a thread for each core"),
    ],
)
def test_workers_are_chosen_by_the_time_of_a_step(
    env, cores, changes, workers, reason, tmp_path, monkeypatch
):
    monkeypatch.setattr(env_workers, "num_cores", lambda: cores)
    config, told = small_run(env=env, env_workers="auto", **changes), []
    chosen = env_workers.settled(config, RunDirectory(tmp_path / "run"), told.append)
    assert chosen == dataclasses.replace(config, env_workers=workers)
    (text,) = told
    assert text.startswith(f"--env-workers auto: {workers}, ")
    assert reason in text


def test_a_process_that_may_start_none_chooses_none(tmp_path, monkeypatch):
    monkeypatch.setitem(multiprocessing.process.current_process()._config, "daemon", True)  # pyright: ignore
    config, told = small_run(env_workers="auto"), []
    assert not env_workers.settled(config, RunDirectory(tmp_path / "run"), told.append).env_workers
    assert "as this process is a daemon" in told[0]


def test_what_no_worker_process_finds_takes_none(tmp_path, monkeypatch):
    class Local(Slow):
        pass

    monkeypatch.setattr(env_workers, "num_cores", lambda: 4)
    config = small_run(env=named.name_of(Local, "env"), env_workers="auto", objects={"env": Local})
    told = []
    assert env_workers.settled(config, RunDirectory(tmp_path / "run"), told.append).env_workers == 0
    (text,) = told
    assert text.startswith("--env-workers auto: 0, as a step of one copy takes ")
    assert "Local is not found by its name, as a worker process has to: define it" in text
    assert text.endswith(" (--env-workers 0).")


def test_the_number_that_was_chosen_is_the_run_s_from_then_on(tmp_path):
    listener, config = StopAt(40), small_run(env_workers="auto")
    assert not train.train(config, tmp_path, listener)
    assert any(text.startswith("--env-workers auto: 0, as a step") for text in listener.messages)
    run = RunDirectory(tmp_path)
    assert run.config().env_workers == 0
    run.extend(dataclasses.replace(config, env_workers=3))
    assert env_workers.settled(config, run, print).env_workers == 3
    run.extend(dataclasses.replace(config, env_workers=0))
    assert train.train(config, tmp_path, listener)
    assert listener.messages[-1] == "from step 40"
    assert any("0, as this run had so far" in text for text in listener.messages)
