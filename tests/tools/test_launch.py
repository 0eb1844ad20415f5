"""Parts are trained at most so many at a time; those that are lost are trained again."""

import os
import signal
from io import StringIO

import pytest
from rich.console import Console

from jaxsac.runner import parts, sweep
from jaxsac.runner.run_directory import RunDirectory
from jaxsac.tools import launch
from jaxsac.tools.launch import LaunchError, Outcome, train_part
from run_examples import small_run

pytestmark = pytest.mark.usefixtures("shared_compilation")
COMPLETE, LOST = Outcome("complete"), Outcome("lost", "the node is gone")
FAILED = Outcome("failed", "ValueError: no such robot")


class ScriptedEngine:
    """Workers that end as they are told, at the second look; without a script they do not end."""

    def __init__(self, directory, **endings):
        self.directory, self.endings = directory, {k: list(v) for k, v in endings.items()}
        self.started, self.running, self.most, self.cancelled = [], set(), 0, []

    def submit(self, part, directory):
        assert directory == self.directory
        name = part.name.split("-")[1]
        self.started.append(name)
        self.running.add(name)
        self.most = max(self.most, len(self.running))
        return ScriptedJob(self, name, part)


class ScriptedJob:
    def __init__(self, engine, name, part):
        self.engine, self.name, self.looks = engine, name, 0
        self.run = RunDirectory(engine.directory / part.name)

    def poll(self):
        self.looks += 1
        if self.name in self.engine.cancelled:
            return LOST
        if self.looks < 2 or not self.engine.endings.get(self.name):
            return None
        self.engine.running.remove(self.name)
        ending = self.engine.endings[self.name].pop(0)
        if isinstance(ending, int):  # lost after a checkpoint
            (self.run.checkpoints / str(ending)).mkdir(parents=True)
            return LOST
        return ending

    def cancel(self):
        self.engine.cancelled.append(self.name)


@pytest.fixture
def planned(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "POLL_SECONDS", 0)
    return parts.split(sweep.plan(small_run(seeds=4), ())[0], 4)


def launched(planned, engine, workers=2):
    said = StringIO()
    console = Console(file=said, width=200)
    return launch.launch(planned, engine.directory, engine, workers, console), said.getvalue()


def test_parts_follow_each_other_on_so_many_workers(planned, tmp_path):
    engine = ScriptedEngine(tmp_path, **{str(k): [COMPLETE] for k in range(1, 5)})
    assert launched(planned, engine) == (True, "")
    assert engine.started == ["1", "2", "3", "4"]
    assert engine.most == 2


def test_a_lost_part_is_launched_again_and_said_so(planned, tmp_path):
    engine = ScriptedEngine(tmp_path, **{"1": [LOST, LOST, COMPLETE], "2": [COMPLETE]})
    complete, said = launched(planned[:2], engine)
    assert complete
    assert engine.started.count("1") == 3
    assert said.count("all.part-1-of-4: the node is gone; launched again.") == 2


def test_a_part_that_saves_nothing_is_given_up_when_the_others_are_done(planned, tmp_path):
    engine = ScriptedEngine(tmp_path, **{"1": [LOST] * 9, "2": [LOST, LOST, COMPLETE]})
    with pytest.raises(LaunchError, match=r"part-1-of-4 lost 3 times.*the node is gone"):
        launched(planned[:2], engine)
    assert sorted(engine.started) == ["1"] * 3 + ["2"] * 3


def test_a_part_that_goes_on_may_be_lost_as_often_as_it_likes(planned, tmp_path):
    endings = [LOST, LOST, 10, LOST, 20, LOST, 30, COMPLETE]
    engine = ScriptedEngine(tmp_path, **{"1": endings})
    assert launched(planned[:1], engine)[0]
    assert len(engine.started) == len(endings)


def test_what_train_refuses_is_not_tried_again_and_is_named(planned, tmp_path):
    engine = ScriptedEngine(tmp_path, **{"1": [FAILED], "2": [COMPLETE], "3": [COMPLETE]})
    with pytest.raises(LaunchError, match="no such robot") as error:
        launched(planned[:3], engine)
    assert engine.started == ["1", "2", "3"], "the others are trained"
    assert "all.part-1-of-4 failed" in str(error.value)
    assert str(tmp_path / "all.part-1-of-4.log") in str(error.value)


def test_a_part_that_is_complete_is_left_alone(planned, tmp_path):
    run = RunDirectory(tmp_path / planned[0].name)
    run.create(planned[0].config)
    run.finish()
    engine = ScriptedEngine(tmp_path, **{"2": [COMPLETE]})
    assert launched(planned[:2], engine)[0]
    assert engine.started == ["2"]


def test_ctrl_c_asks_the_workers_to_stop_and_waits_until_they_have(planned, tmp_path):
    engine = ScriptedEngine(tmp_path, **{"1": [COMPLETE]})
    submit = engine.submit

    def submit_and_interrupt(part, directory):
        if engine.started == ["1", "2"]:
            os.kill(os.getpid(), signal.SIGINT)
        return submit(part, directory)

    engine.submit = submit_and_interrupt
    assert launched(planned, engine) == (False, "")
    assert engine.started == ["1", "2", "3"]
    assert engine.cancelled == ["2", "3"]


def test_when_the_engine_refuses_a_part_the_others_are_asked_to_stop(planned, tmp_path):
    engine = ScriptedEngine(tmp_path)
    submit = engine.submit

    def submit_one(part, directory):
        if engine.started:
            raise LaunchError("no such partition")
        return submit(part, directory)

    engine.submit = submit_one
    with pytest.raises(LaunchError, match="no such partition"):
        launched(planned, engine)
    assert engine.cancelled == ["1"]


def test_a_worker_trains_and_keeps_what_it_says(tmp_path):
    (group,) = sweep.plan(small_run(eval_every=30, seeds=1), ())
    assert train_part(group, tmp_path / "sweep") == COMPLETE
    text = (tmp_path / "sweep" / "all.log").read_text()
    assert "step 60/60" in text
    assert launch.is_complete(group, tmp_path / "sweep")


def test_a_worker_that_breaks_says_why_and_leaves_the_traceback_in_its_log(tmp_path):
    (group,) = sweep.plan(small_run(env="probe_environments:Broken-v0", seeds=1), ())
    assert train_part(group, tmp_path) == Outcome("failed", "RuntimeError: the simulator broke")
    assert "probe_environments.py" in (tmp_path / "all.log").read_text()


def test_a_worker_that_was_stopped_is_as_one_that_was_lost(tmp_path):
    (group,) = sweep.plan(small_run(env="probe_environments:Interrupted-v0", seeds=1), ())
    assert train_part(group, tmp_path) == Outcome("lost", "stopped")
    assert train_part(group, tmp_path) == COMPLETE
