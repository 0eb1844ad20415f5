"""What the trackers themselves read of a run that was killed and resumed."""

import json
import sqlite3
import struct

import pytest
from test_sinks import TOLD, Killed

from jaxsac.runs import train
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.metrics import metrics
from jaxsac.runs.sinks.sinks import group
from run_examples import Listener, small_run


def killed_and_resumed(directory, name):
    """Checkpoints at 25 and 50 of 60 steps, rows at 20, 40 and 60; the process ends at 40."""
    config = small_run(log=name, checkpoint_every=25)
    with pytest.raises(KeyboardInterrupt):
        train.train(config, directory, Killed(40))
    listener = Listener()
    assert train.train(config, directory, listener)
    assert not any(TOLD.split(" ", 1)[1] in text for text in listener.messages)
    return {
        member: [
            (int(row["step"]), pytest.approx(row["train_return"], rel=1e-5))
            for row in metrics.read(metrics.path(RunDirectory(directory).metrics, member))
        ]
        for member in config.member_names
    }


def test_tensorboard_reads_every_row_once(tmp_path):
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    events = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard, which reads back, is not installed",
    )
    expected = killed_and_resumed(tmp_path / "run", "tensorboard")
    for member, rows in expected.items():
        read = events.EventAccumulator(str(tmp_path / "run" / "tensorboard" / member)).Reload()
        found = read.Scalars("run/train_return")
        assert [(event.step, event.value) for event in found] == rows
        assert [event.step for event in read.Scalars("update/critic_loss")] == [40, 60]
        (text,) = read.Tensors("settings/text_summary")
        assert b'"learning_starts": 20' in text.tensor_proto.string_val[0]


def records(content):
    """Of a log as LevelDB writes it: blocks of 32 kB, pieces with a CRC, a length and a kind."""
    at, whole = 7, b""  # wandb's own head
    while at < len(content):
        if (left := -at % 32768) < 7:
            at += left
        length, kind = struct.unpack_from("<HB", content, at + 4)
        whole, at = whole + content[at + 7 : at + 7 + length], at + 7 + length
        if kind in (1, 4):
            yield whole
            whole = b""


@pytest.mark.slow  # starts wandb's own process
def test_wandb_keeps_every_row_once_for_a_later_sync(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed")
    proto = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    monkeypatch.setenv("WANDB_MODE", "offline")
    expected = killed_and_resumed(tmp_path / "run", "wandb")

    def rows_in(file):
        for data in records(file.read_bytes()):
            record = proto.Record.FromString(data)
            if record.WhichOneof("record_type") == "history":
                values = {i.key or i.nested_key[0]: i.value_json for i in record.history.item}
                yield int(values["_step"]), json.loads(values["run/train_return"])
            if record.WhichOneof("record_type") == "run":
                assert record.run.run_group == group(RunDirectory(tmp_path / "run"))

    for member, rows in expected.items():
        files = sorted((tmp_path / "run" / "wandb").glob(f"offline-run-*-{member}/*.wandb"))
        assert len(files) == 2
        assert [row for file in files for row in rows_in(file)] == rows


@pytest.mark.slow  # imports for seconds
def test_trackio_has_every_row_once_in_its_database(tmp_path, monkeypatch, capsys):
    trackio = pytest.importorskip("trackio", reason="trackio is not installed")
    project = f"test-{tmp_path.name}"
    monkeypatch.setenv("TRACKIO_PROJECT", project)
    expected = killed_and_resumed(tmp_path / "run", "trackio")
    try:
        with sqlite3.connect(trackio.utils.TRACKIO_DIR / f"{project}.db") as database:
            found = database.execute("SELECT run_name, step, metrics FROM metrics ORDER BY step")
            there = [(name, step, json.loads(text)) for name, step, text in found]
        assert "Trackio" not in capsys.readouterr().out
    finally:
        trackio.delete_project(project, force=True)
    name = group(RunDirectory(tmp_path / "run"))
    for member, rows in expected.items():
        mine = [(s, row["run/train_return"]) for n, s, row in there if n == f"{name}/{member}"]
        assert mine == rows
