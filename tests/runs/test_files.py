"""What is on the disk, and in which order, when a file or a bundle takes its name."""

import errno
import os

import jax
import numpy as np
import pytest

from jaxsac.runs import files
from jaxsac.runs.checkpoints import bundle
from jaxsac.runs.directory.directory import RunDirectory
from run_examples import small_run


@pytest.fixture
def events(monkeypatch):
    """Names in the order in which they were synced, renamed and linked."""
    seen = []

    def spy(name, of):
        do = getattr(os, name)

        def done(*arguments, **options):
            seen.append((name, of(*arguments)))
            return do(*arguments, **options)

        monkeypatch.setattr(os, name, done)

    spy("fsync", lambda number: os.path.basename(os.readlink(f"/proc/self/fd/{number}")))
    for name in ("rename", "replace", "link"):
        spy(name, lambda source, target: (os.path.basename(source), os.path.basename(target)))
    return seen


def test_all_of_a_bundle_is_on_the_disk_before_it_has_its_name(tmp_path, events):
    bundle.write(tmp_path / "7", [(part, {"x": np.ones(3)}) for part in ("a", "b")], {})
    renamed = events.index(("rename", (".7.tmp", "7")))
    before = ["a.safetensors", "b.safetensors", "manifest.json", ".7.tmp"]
    assert events[:renamed] == [("fsync", name) for name in before]
    assert events[renamed + 1 :] == [("fsync", tmp_path.name)]


def test_what_a_bundle_replaces_is_there_until_it_has_its_place(tmp_path, events):
    for value in (1, 2):
        events.clear()
        bundle.write(tmp_path / "7", [("a", {"x": np.full(3, value)})], {})
    renamed = [event for event in events if event[0] == "rename"]
    assert renamed == [("rename", ("7", ".7.old")), ("rename", (".7.tmp", "7"))]
    assert [path.name for path in tmp_path.iterdir()] == ["7"]
    # Killed between the two.
    os.rename(tmp_path / "7", tmp_path / ".7.old")
    bundle.recover(tmp_path)
    struct = {"x": jax.ShapeDtypeStruct((3,), np.int64)}
    assert bundle.load(tmp_path / "7", "a", struct)["x"].tolist() == [2, 2, 2]
    # Killed after them.
    (tmp_path / ".7.old").mkdir()
    bundle.recover(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["7"]


def test_a_bundle_that_cannot_take_its_place_leaves_the_one_before(tmp_path, monkeypatch):
    bundle.write(tmp_path / "7", [("a", {"x": np.ones(3)})], {"of": "before"})
    rename = os.rename

    def fail(source, target):
        if str(source).endswith(".tmp"):
            raise OSError("stale file handle")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OSError, match="What was saved before is untouched"):
        bundle.write(tmp_path / "7", [("a", {"x": np.zeros(3)})], {"of": "after"})
    assert bundle.verify(tmp_path / "7")["of"] == "before"


def test_a_manifest_is_on_the_disk_before_it_has_its_name(tmp_path, events):
    run = RunDirectory(tmp_path / "run")
    temporary = f".manifest.json.{os.getpid()}.tmp"
    for name, act in (("link", lambda: run.create(small_run())), ("replace", run.finish)):
        act()
        assert events == [
            ("fsync", temporary),
            (name, (temporary, "manifest.json")),
            ("fsync", "run"),
        ]
        events.clear()
    assert [path.name for path in run.path.iterdir()] == ["manifest.json"]


def test_a_new_file_is_never_written_over_another(tmp_path, monkeypatch):
    file = tmp_path / "file"
    files.write(file, b"first", new=True)
    for _ in range(2):
        with pytest.raises(FileExistsError):
            files.write(file, b"second", new=True)

        def link(*names):
            raise PermissionError("no hard links here")

        monkeypatch.setattr(os, "link", link)
    assert file.read_bytes() == b"first"
    files.write(tmp_path / "other", b"second", new=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "other"]


def test_a_disk_that_is_full_is_said_with_the_file(tmp_path, monkeypatch):
    def fsync(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "file").write_bytes(b"before")
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match=r"No space left on device: '.*/file'"):
        files.write(tmp_path / "file", b"after")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]
