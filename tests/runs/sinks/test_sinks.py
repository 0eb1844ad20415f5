"""Every row of a run is in each of its sinks, whatever becomes of the run or of the sink."""

import re
import signal
import sys
import types

import pytest

from jaxsac.runs import train
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.metrics import metrics
from jaxsac.runs.settings.config import RunConfig
from jaxsac.runs.sinks import sink, sinks, wandb_sink
from run_examples import Listener, agent_of, assert_identical, small_run, trained
from written_runs import written

TOLD = "trackio takes no more rows"


class Fake:
    """A sink in this process, in the place of trackio's."""

    def __init__(self, takes_back):
        self.TAKES_BACK = takes_back
        self.streams, self.targets, self.closed, self.fails_at = {}, [], 0, None

    def check(self):
        pass

    def Streams(self, target):  # noqa: N802
        self.targets.append(target)
        for member, place in zip(target.members, target.places, strict=True):
            kept = self.streams.get(member, [])
            self.streams[member] = [row for row in kept if not self.TAKES_BACK or row[0] <= place]
        return types.SimpleNamespace(
            where="a fake", write=self.write, close=lambda: setattr(self, "closed", self.closed + 1)
        )

    def write(self, place, rows):
        if place == self.fails_at:
            raise ConnectionError("the server is gone")
        for index, row in rows.items():
            self.streams[self.targets[-1].members[index]].append((place, row))

    def places(self, member):
        return [place for place, _ in self.streams[member]]


@pytest.fixture(params=[False, True], ids=["appends", "takes back"])
def fake(request, monkeypatch):
    made = Fake(request.param)
    monkeypatch.setitem(sys.modules, "jaxsac.runs.sinks.trackio_sink", made)
    return made


class Killed(Listener):
    """Ends the run as a second Ctrl-C does, with nothing saved, when it hears of a step."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def progress(self, progress):
        if progress.step == self.step:
            signal.raise_signal(signal.SIGINT)
            raise KeyboardInterrupt


def logged_run(**changes):
    return small_run(**{"log": "trackio", **changes})


def test_each_member_has_its_rows_and_nothing_is_learned_otherwise(fake, tmp_path):
    config = logged_run(seed=3)
    assert train.train(config, tmp_path / "run", Listener())
    assert_identical(
        agent_of(tmp_path / "run", config), trained(small_run(seed=3), tmp_path / "plain")
    )
    assert list(fake.streams) == ["seed-0003", "seed-0004"]
    for member, stream in fake.streams.items():
        rows = metrics.read(metrics.path(RunDirectory(tmp_path / "run").metrics, member))
        assert [place for place, _ in stream] == [row["step"] for row in rows] == [20, 40, 60]
        for (_, sent), row in zip(stream, rows, strict=True):
            there = {name: value for name, value in row.items() if value is not None}
            assert {name.partition("/")[2] for name in sent} == set(there) - {"step"}
            assert sent["run/train_return"] == pytest.approx(there["train_return"], rel=1e-5)
    assert "update/critic_loss" in fake.streams["seed-0003"][-1][1]
    (target,) = fake.targets
    assert target.group.startswith("run-")
    assert [each["seed"] for each in target.settings] == [3, 4]
    assert fake.closed == 1


def test_rows_that_are_trained_again_are_there_once(fake, tmp_path):
    config = logged_run(checkpoint_every=25)
    with pytest.raises(KeyboardInterrupt):
        train.train(config, tmp_path / "run", Killed(40))
    assert fake.places("seed-0001") == [20, 40]
    assert train.train(config, tmp_path / "run", Listener())
    assert fake.places("seed-0001") == [20, 40, 60]
    assert fake.targets[1].places == [20 if fake.TAKES_BACK else 40] * 2
    assert fake.targets[1].group == fake.targets[0].group


def test_a_sink_that_fails_is_named_once_and_has_what_it_missed_after_a_resume(
    fake, tmp_path, monkeypatch
):
    monkeypatch.setattr(sinks, "HELD", 0)
    fake.fails_at, listener = 40, Listener()
    assert train.train(logged_run(), tmp_path / "run", listener)
    (said,) = [text for text in listener.messages if TOLD in text]
    assert "ConnectionError('the server is gone')" in said
    assert fake.places("seed-0000") == [20]
    fake.fails_at = None
    assert train.train(logged_run(steps=80), tmp_path / "run", Listener())
    assert fake.places("seed-0000") == [20, 40, 60, 80]


def test_a_sink_that_cannot_be_opened_or_closed_costs_nothing(fake, tmp_path, monkeypatch):
    def refuse(target):
        raise OSError("no network")

    monkeypatch.setattr(fake, "Streams", refuse)
    listener = Listener()
    assert train.train(logged_run(), tmp_path / "run", listener)
    assert sum(TOLD in text for text in listener.messages) == 1


def test_a_sink_that_a_run_gets_later_has_the_rows_from_before(fake, tmp_path):
    assert train.train(small_run(), tmp_path / "run", Listener())
    assert train.train(logged_run(steps=80), tmp_path / "run", Listener())
    assert fake.places("seed-0000") == [20, 40, 60, 80]


def test_seeds_that_are_added_belong_to_the_group(fake, tmp_path):
    for seeds in (1, 2):
        parts = RunDirectory(tmp_path / "run").parts(logged_run(seeds=seeds))
        assert all(train.train(part, path, Listener()) for part, path in parts)
    first, second = fake.targets
    assert first.group == second.group
    assert (first.members, second.members) == (["seed-0000"], ["seed-0001"])


def test_updates_on_prior_data_alone_come_first():
    config = RunConfig("Pendulum-v1", prior_data="a.npz", offline_steps=500)
    rows = [{"step": 0, "updates": 100}, {"step": 0, "updates": 500}, {"step": 1, "updates": 501}]
    assert [sinks._place(config, row) for row in rows] == [100, 500, 501]


def test_what_is_swept_over_is_a_setting_and_no_metric(fake, tmp_path):
    run = RunDirectory(tmp_path)
    config = logged_run(seeds=1, hyperparameters=small_run().hyperparameters.replace(tau=(0.1, 1)))
    streams = sinks._Streams("trackio", config, run, [[], []])
    streams.write(dict(enumerate([{"step": 20, "updates": 0, "seed": 0, "tau": 0.1}] * 2)))
    assert fake.streams["point-001-seed-0000"] == [(20, {"run/updates": 0.0})]
    assert [each["tau"] for each in fake.targets[0].settings] == [0.1, 1]


def streams_of(run, there=((), ())):
    return sinks._Streams("trackio", logged_run(), run, list(there))


def row(step):
    return {0: {"step": step, "updates": 0}, 1: {"step": step, "updates": 0}}


def test_what_a_sink_may_have_held_back_when_the_process_was_killed_is_sent_again(
    fake, tmp_path, monkeypatch
):
    run, now = RunDirectory(tmp_path), [0.0]
    monkeypatch.setattr(sinks.time, "monotonic", lambda: now[0])
    killed = streams_of(run)
    for second, step in ((0, 20), (30, 40), (80, 60), (89, 80)):
        now[0] = second
        killed.write(row(step))
    there = [[{"step": 80, "updates": 0}]] * 2
    assert streams_of(run, there)._places == [20, 20]  # of the others less than a minute ago
    now[0] = 100
    killed.write(row(100))
    assert streams_of(run, there)._places == [40, 40]
    killed.close()
    there = [[{"step": 100, "updates": 0}]] * 2
    assert streams_of(run, there)._places == [100, 100]


def test_rows_from_before_are_no_less_held_back(fake, tmp_path):
    run = RunDirectory(written(tmp_path / "run", [1, 2], steps=(20, 40)))
    there = sinks._rows_there(logged_run(), run)
    sinks.Sinks(logged_run(), run, lambda text: None).__enter__()
    assert fake.places("seed-0000") == [20, 40]
    assert streams_of(run, there)._places == [-1, -1]


def test_wandb_keeps_no_row_back_and_takes_every_name_of_a_directory(tmp_path, monkeypatch):
    begun, logged = [], []
    wandb = types.SimpleNamespace(
        init=lambda **settings: (
            begun.append(settings)
            or types.SimpleNamespace(
                offline=True, project_url="", log=lambda *row, **how: logged.append((row, how))
            )
        ),
        Settings=dict,
    )
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    group = "a:b;c,d#e?f'g-1a2b3c"
    target = sink.Target(tmp_path, group, ["seed-0000"], [{}], [-1])
    wandb_sink.Streams(target).write(20, {0: {"run/updates": 1.0}})
    assert logged == [(({"run/updates": 1.0},), {"step": 20, "commit": True})]
    assert begun[0]["id"] == "a-b-c-d-e-f-g-1a2b3c-seed-0000"
    assert begun[0]["group"] == group


@pytest.mark.parametrize("content", ["", "[]", '{"seed-0000": null}'])
def test_places_that_are_lost_are_no_reason_to_leave_a_sink_that_takes_back(
    fake, tmp_path, content
):
    written(tmp_path / "run", [1, 2], steps=(20, 40, 60))
    file = tmp_path / "run" / "sinks" / "trackio.json"
    file.parent.mkdir()
    file.write_text(content)
    listener = Listener()
    with sinks.Sinks(logged_run(), RunDirectory(tmp_path / "run"), listener.message):
        pass
    (said,) = listener.messages
    if fake.TAKES_BACK:
        assert fake.places("seed-0000") == [20, 40, 60]
    else:
        assert f"trackio takes no rows: {file}" in said
        assert "sent what it misses" not in said
        assert "Remove it, and the run sends trackio all of its rows when it is resumed" in said
        file.unlink()
        with sinks.Sinks(logged_run(), RunDirectory(tmp_path / "run"), listener.message):
            pass
        assert fake.places("seed-0000") == [20, 40, 60]


def test_a_run_keeps_its_group_where_its_directory_gets_another_name(tmp_path):
    begun = sinks.group(RunDirectory(tmp_path / "new"))
    assert re.fullmatch("new-[0-9a-f]{6}", begun)
    (tmp_path / "new").rename(tmp_path / "moved")
    assert sinks.group(RunDirectory(tmp_path / "moved")) == begun


# Refused before anything is written.


@pytest.mark.parametrize(
    ("name", "package"),
    [("tensorboard", "tensorboardX"), ("wandb", "wandb"), ("trackio", "trackio")],
)
def test_a_missing_package_is_named_with_what_installs_it(tmp_path, monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    said = f"--log {name} needs {package}: run `pip install 'jaxsac[{name}]'`."
    with pytest.raises(ModuleNotFoundError, match=re.escape(said)):
        train.train(small_run(log=name), tmp_path / "run", Listener())
    assert list(tmp_path.iterdir()) == []


def test_wandb_without_a_login_is_refused(tmp_path, monkeypatch):
    nobody = types.SimpleNamespace(login=lambda prompt: False)
    monkeypatch.setitem(sys.modules, "wandb", nobody)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    with pytest.raises(ValueError, match="Run `wandb login`, or set WANDB_MODE=offline"):
        train.train(small_run(log="wandb"), tmp_path / "run", Listener())
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_sink_is_refused():
    with pytest.raises(ValueError, match=r"log must be some of tensorboard.* got 'mlflow'"):
        small_run(log=["mlflow"])
