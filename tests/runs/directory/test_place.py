"""A run writes nothing into a directory that is not its own any more."""

import shutil

import pytest

from jaxsac.runs import train
from jaxsac.runs.checkpoints import checkpoint
from jaxsac.runs.directory import lock
from jaxsac.runs.directory.directory import RunDirectory, RunDirectoryError
from jaxsac.runs.metrics import metrics
from run_examples import Listener, small_run


class At(Listener):
    """Does something in a run's directory when it hears of a step."""

    def __init__(self, step, act):
        super().__init__()
        self.step, self.act = step, act

    def progress(self, progress):
        super().progress(progress)
        if progress.step == self.step:
            self.act()


def everything(directory):
    return {
        path.relative_to(directory): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != lock.NAME
    }


def empty(directory):
    for path in directory.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def begin_another(directory):
    with lock.locked(directory):
        RunDirectory(directory).create(small_run(seed=7))


def move(directory):
    directory.rename(directory.with_name("moved"))


def remove(directory):
    shutil.rmtree(directory)


def replace(directory):
    shutil.rmtree(directory)
    begin_another(directory)


def replace_what_it_holds(directory):
    empty(directory)
    begin_another(directory)


def remove_its_manifest(directory):
    """As `rm -rf` is about to remove the rest."""
    (directory / "manifest.json").unlink()


@pytest.mark.parametrize(
    "happens", [move, remove, replace, replace_what_it_holds, remove_its_manifest]
)
@pytest.mark.parametrize("eval_every", [0, 20])
def test_a_run_whose_directory_was_taken_away_writes_nothing_there(tmp_path, happens, eval_every):
    run, after = tmp_path / "run", []

    def take_away():
        happens(run)
        after.append(everything(run))

    listener = At(20, take_away)
    with pytest.raises(RunDirectoryError, match=r"run is not the directory .* since step 20;"):
        train.train(small_run(eval_every=eval_every), run, listener)
    assert [row.step for row in listener.rows] == [20]
    assert everything(run) == after[0]
    assert run.exists() == (happens not in (move, remove))


def test_without_a_lock_it_is_the_directory_that_tells(tmp_path):
    run = tmp_path / "run"
    listener = At(20, lambda: replace(run))
    with pytest.raises(RunDirectoryError, match="not the directory of this run any more"):
        train.train(small_run(lock=False), run, listener)
    assert not (run / "checkpoints").exists()
    assert RunDirectory(run).config().seed == 7


def test_a_directory_that_was_moved_has_the_run_up_to_then_and_it_goes_on_there(tmp_path):
    config, run = small_run(checkpoint_every=20), tmp_path / "run"
    with pytest.raises(RunDirectoryError, match="the same command resumes it"):
        train.train(config, run, At(40, lambda: move(run)))
    assert checkpoint.steps(tmp_path / "moved" / "checkpoints") == [20]
    assert train.train(config, tmp_path / "moved", Listener())


def test_a_lock_that_lies_there_now_is_left_to_its_owner(tmp_path):
    run = tmp_path / "run"
    with lock.locked(run):
        run.rename(tmp_path / "moved")
        run.mkdir()
        (run / lock.NAME).write_text("another\n")
    assert (run / lock.NAME).read_text() == "another\n"


def test_a_lock_file_that_was_cleared_away_ends_no_run(tmp_path):
    run = tmp_path / "run"
    assert train.train(small_run(), run, At(20, (run / lock.NAME).unlink))


def test_a_checkpoint_does_not_make_the_directory_of_its_run(tmp_path):
    with pytest.raises(OSError, match="cannot write"):
        checkpoint.save(tmp_path / "gone" / "checkpoints", 1, [], {})
    assert list(tmp_path.iterdir()) == []


def test_rows_that_are_removed_while_a_run_trains_are_missed_and_the_next_ones_written(tmp_path):
    config, run = small_run(seeds=1), RunDirectory(tmp_path / "run")
    listener = At(20, lambda: shutil.rmtree(run.metrics))
    assert train.train(config, run.path, listener)
    rows = metrics.read(metrics.path(run.metrics, "seed-0000"))
    assert [row["step"] for row in rows] == [40, 60]
    (said,) = (text for text in listener.messages if "while the run trained" in text)
    assert said.startswith(f"seed-0000.csv of {run.metrics} was removed or replaced")
    more = Listener()
    assert train.train(small_run(seeds=1, steps=80), run.path, more)
    rows = metrics.read(metrics.path(run.metrics, "seed-0000"))
    assert [row["step"] for row in rows] == [40, 60, 80]
    assert not any("missing" in text for text in more.messages)
