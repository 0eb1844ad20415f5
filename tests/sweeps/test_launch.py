"""Parts are trained at most so many at a time; those that are lost are trained again."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from rich.console import Console

from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.sweeps import launch, plan, progress
from jaxsac.sweeps.launch import LaunchError, TrainingError, WorkerLostError, train_part
from run_examples import small_run

COMPLETE, LOST = None, WorkerLostError("the node is gone")
FAILED = TrainingError("ValueError: no such robot")


class ScriptedExecutor:
    """Workers that end as they are told, at the second look; without a script they do not end."""

    def __init__(self, directory, **endings):
        self.directory, self.endings = directory, {k: list(v) for k, v in endings.items()}
        self.started, self.running, self.most, self.cancelled = [], set(), 0, []

    def submit(self, fn, part, directory):
        assert fn is train_part
        assert directory == self.directory
        name = part.name.split("-")[1]
        self.started.append(name)
        self.running.add(name)
        self.most = max(self.most, len(self.running))
        return ScriptedFuture(self, name, part)


class ScriptedFuture:
    def __init__(self, executor, name, part):
        self.executor, self.name, self.looks = executor, name, 0
        self.run = RunDirectory(executor.directory / part.name)

    def done(self):
        self.looks += 1
        ended = self.looks >= 2 and self.executor.endings.get(self.name)
        return self.name in self.executor.cancelled or bool(ended)

    def result(self):
        assert self.name not in self.executor.cancelled
        self.executor.running.remove(self.name)
        ending = self.executor.endings[self.name].pop(0)
        if isinstance(ending, int):  # lost after a checkpoint
            (self.run.checkpoints / str(ending)).mkdir(parents=True)
            raise LOST
        if ending is not COMPLETE:
            raise ending

    def cancel(self):
        self.executor.cancelled.append(self.name)


@pytest.fixture
def planned(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "POLL_SECONDS", 0)
    return plan.split(plan.groups(small_run(seeds=4), ())[0], 4)


def launched(planned, executor, workers=2):
    said = StringIO()
    console = Console(file=said, width=200)
    return launch.launch(planned, executor.directory, executor, workers, console), said.getvalue()


def test_parts_follow_each_other_on_so_many_workers(planned, tmp_path):
    executor = ScriptedExecutor(tmp_path, **{str(k): [COMPLETE] for k in range(1, 5)})
    assert launched(planned, executor)[0]
    assert executor.started == ["1", "2", "3", "4"]
    assert executor.most == 2


def test_a_lost_part_is_launched_again_and_said_so(planned, tmp_path):
    executor = ScriptedExecutor(tmp_path, **{"1": [LOST, LOST, COMPLETE], "2": [COMPLETE]})
    complete, said = launched(planned[:2], executor)
    assert complete
    assert executor.started.count("1") == 3
    assert said.count("all.part-1-of-4: the node is gone; launched again.") == 2


def test_a_part_that_saves_nothing_is_given_up_when_the_others_are_done(planned, tmp_path):
    executor = ScriptedExecutor(tmp_path, **{"1": [LOST] * 9, "2": [LOST, LOST, COMPLETE]})
    with pytest.raises(LaunchError, match=r"part-1-of-4 failed: lost 3 times.*the node is gone"):
        launched(planned[:2], executor)
    assert sorted(executor.started) == ["1"] * 3 + ["2"] * 3


def test_a_part_that_goes_on_may_be_lost_as_often_as_it_likes(planned, tmp_path):
    endings = [LOST, LOST, 10, LOST, 20, LOST, 30, COMPLETE]
    executor = ScriptedExecutor(tmp_path, **{"1": endings})
    assert launched(planned[:1], executor)[0]
    assert len(executor.started) == len(endings)


def test_what_train_refuses_is_not_tried_again_and_is_named(planned, tmp_path):
    executor = ScriptedExecutor(tmp_path, **{"1": [FAILED], "2": [COMPLETE], "3": [COMPLETE]})
    with pytest.raises(LaunchError, match="no such robot") as error:
        launched(planned[:3], executor)
    assert executor.started == ["1", "2", "3"], "the others are trained"
    assert "all.part-1-of-4 failed" in str(error.value)
    assert str(tmp_path / "all.part-1-of-4.log") in str(error.value)


def test_a_part_that_is_complete_is_left_alone(planned, tmp_path):
    run = RunDirectory(tmp_path / planned[0].name)
    run.create(planned[0].config)
    run.finish()
    executor = ScriptedExecutor(tmp_path, **{"2": [COMPLETE]})
    assert launched(planned[:2], executor)[0]
    assert executor.started == ["2"]


def test_any_executor_of_concurrent_futures_will_do(planned, tmp_path, monkeypatch):
    calls = []

    def lost_once(part, directory):
        calls.append((part.name, directory))
        if len(calls) == 1:
            raise LOST
        if part == planned[-1]:
            raise FAILED

    monkeypatch.setattr(launch, "train_part", lost_once)
    said = StringIO()
    with ThreadPoolExecutor(2) as pool, pytest.raises(LaunchError, match="of-4 failed: ValueError"):
        launch.launch(planned, tmp_path, pool, 2, Console(file=said, width=200))
    names = [part.name for part in planned]
    assert sorted(calls) == sorted((name, tmp_path) for name in [calls[0][0], *names])
    assert said.getvalue().count("launched again") == 1


def test_ctrl_c_asks_the_workers_to_stop_and_waits_until_they_have(planned, tmp_path):
    executor = ScriptedExecutor(tmp_path, **{"1": [COMPLETE]})
    submit = executor.submit

    def submit_and_interrupt(fn, part, directory):
        if executor.started == ["1", "2"]:
            os.kill(os.getpid(), signal.SIGINT)
        return submit(fn, part, directory)

    executor.submit = submit_and_interrupt
    complete, said = launched(planned, executor)
    assert not complete
    assert said.startswith("Ctrl-C: the workers are asked to save and to stop. Ctrl-C again: ")
    assert executor.started == ["1", "2", "3"]
    assert executor.cancelled == ["2", "3"]


def test_ctrl_c_when_all_is_done_already_stops_nothing(planned, tmp_path, monkeypatch):
    executor = ScriptedExecutor(tmp_path, **{str(k): [COMPLETE] for k in range(1, 5)})
    show = progress.SweepProgress.show

    def show_and_interrupt(self):
        show(self)
        if not executor.running and len(executor.started) == 4:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(progress.SweepProgress, "show", show_and_interrupt)
    assert launched(planned, executor)[0]


def test_when_the_executor_refuses_a_part_the_others_are_asked_to_stop(planned, tmp_path):
    executor = ScriptedExecutor(tmp_path)
    submit = executor.submit

    def submit_one(fn, part, directory):
        if executor.started:
            raise LaunchError("no such partition")
        return submit(fn, part, directory)

    executor.submit = submit_one
    with pytest.raises(LaunchError, match="no such partition"):
        launched(planned, executor)
    assert executor.cancelled == ["1"]


def test_a_worker_trains_and_keeps_what_it_says(tmp_path):
    (group,) = plan.groups(small_run(eval_every=30, seeds=1), ())
    train_part(group, tmp_path / "sweep")
    text = (tmp_path / "sweep" / "all.log").read_text()
    assert "complete at step 60 of 60" in text
    assert launch.is_complete(group, tmp_path / "sweep")


def test_a_worker_that_breaks_says_why_and_leaves_the_traceback_in_its_log(tmp_path):
    (group,) = plan.groups(small_run(env="probe_environments:Broken-v0", seeds=1), ())
    with pytest.raises(TrainingError, match=r"^RuntimeError: the simulator broke$"):
        train_part(group, tmp_path)
    assert "probe_environments.py" in (tmp_path / "all.log").read_text()


def test_a_worker_that_was_stopped_is_as_one_that_was_lost(tmp_path):
    (group,) = plan.groups(small_run(env="probe_environments:Interrupted-v0", seeds=1), ())
    with pytest.raises(WorkerLostError, match=r"^stopped$"):
        train_part(group, tmp_path)
    train_part(group, tmp_path)
    assert launch.is_complete(group, tmp_path)
