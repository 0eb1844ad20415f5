"""One process at a time in a run directory, from before anything in it is read or written."""

import multiprocessing
import os
import signal
import subprocess
import sys

import pytest

from jaxsac.runs import train
from jaxsac.runs.directory import lock
from jaxsac.runs.directory.directory import RunDirectory, RunDirectoryError
from run_examples import Listener, small_run

JOBS, TRIALS = 4, 5


def job(seed, directory, barrier, results, all_said):
    """What `train` does, but for the training."""
    run, config = RunDirectory(directory), small_run(seed=seed)
    barrier.wait()
    try:
        with run.locked():
            run.is_finished(config)
            run.create(config)
            results.put((seed, os.getpid(), run.config().seed))
            all_said.wait(60)
    except RunDirectoryError as error:
        results.put((seed, os.getpid(), str(error)))


def test_of_jobs_that_start_together_one_trains_what_it_was_asked_for(tmp_path):
    context = multiprocessing.get_context("fork")
    for trial in range(TRIALS):
        barrier, results, all_said = context.Barrier(JOBS), context.Queue(), context.Event()
        arguments = (tmp_path / "deep" / str(trial), barrier, results, all_said)
        jobs = [context.Process(target=job, args=(seed, *arguments)) for seed in range(JOBS)]
        for each in jobs:
            each.start()
        found = [results.get(timeout=60) for _ in jobs]
        all_said.set()
        for each in jobs:
            each.join()
        (holder,) = (pid for seed, pid, said in found if said == seed)
        others = [said for _, pid, said in found if pid != holder]
        assert all(f"another process ({holder} on " in said for said in others)


def test_a_directory_in_which_nothing_was_written_goes_again(tmp_path):
    directory = tmp_path / "a" / "b"
    with lock.locked(directory):
        assert [path.name for path in directory.iterdir()] == [lock.NAME]
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_before_stays(tmp_path):
    (tmp_path / "run").mkdir()
    with lock.locked(tmp_path / "run"):
        pass
    assert list((tmp_path / "run").iterdir()) == []
    (tmp_path / "run" / "notes.txt").touch()
    with lock.locked(tmp_path / "run"):
        pass
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]
    with lock.locked(tmp_path / "run"):
        (tmp_path / "run" / "manifest.json").touch()
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {lock.NAME, "manifest.json", "notes.txt"}
    assert (tmp_path / "run" / lock.NAME).read_text() == ""


def test_a_file_in_place_of_a_directory_is_named(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(RunDirectoryError, match=r"run is a file, where a run needs a directory"):
        train.train(small_run(), tmp_path / "run", Listener())
    assert (tmp_path / "run").read_text() == "mine"


@pytest.mark.parametrize("within", ["", "runs/1"])
def test_a_link_that_leads_nowhere_is_named(tmp_path, within):
    (tmp_path / "link").symlink_to("/not/mounted")
    with (
        pytest.raises(RunDirectoryError, match=r"link is a link to /not/mounted, which does not"),
        lock.locked(tmp_path / "link" / within),
    ):
        pass
    assert (tmp_path / "link").is_symlink()


def test_the_file_that_a_killed_process_left_stays_and_names_nobody_else(tmp_path):
    (tmp_path / lock.NAME).write_text("123 on elsewhere\n")
    with lock.locked(tmp_path):
        assert (tmp_path / lock.NAME).read_text().startswith(f"{os.getpid()} on ")
    assert (tmp_path / lock.NAME).read_text() == ""


def test_a_lock_whose_file_was_removed_is_taken_anew(tmp_path, monkeypatch):
    flock, taken = lock._flock, []

    def flock_late(directory, file):
        """Gets the lock of a holder that removes its file meanwhile."""
        if not taken:
            (directory / lock.NAME).unlink()
        taken.append(file)
        flock(directory, file)

    monkeypatch.setattr(lock, "_flock", flock_late)
    with lock.locked(tmp_path):
        assert len(taken) == 2
        with pytest.raises(RunDirectoryError, match="this process trains in"):
            RunDirectory(tmp_path).locked().__enter__()


FORKS = """
import os, sys, time
from pathlib import Path
from jaxsac.runs.directory import lock
with lock.locked(Path(sys.argv[1])):
    (Path(sys.argv[1]) / "manifest.json").touch()
    if FORK == 0:  # what a simulator leaves running
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        time.sleep(60)
        os._exit(0)
    print(child, flush=True)
    END
"""


@pytest.mark.parametrize(
    ("fork", "end"),
    [
        ("(child := os.fork())", "os.kill(os.getpid(), 9)"),
        # A fork that Python does not know of.
        ("(child := __import__('ctypes').CDLL(None).fork())", "pass"),
    ],
    ids=["killed", "forked natively"],
)
def test_what_a_run_has_forked_does_not_hold_its_lock(tmp_path, fork, end):
    program = FORKS.replace("FORK", fork).replace("END", end)
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True
    )
    child = int(ended.stdout)
    try:
        with lock.locked(tmp_path / "run"):
            os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_forked_process_leaves_the_lock_as_it_is(tmp_path):
    held = lock.locked(tmp_path / "run")
    held.__enter__()
    if (child := os.fork()) == 0:
        try:
            held.__exit__(None, None, None)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert (tmp_path / "run" / lock.NAME).read_text().startswith(f"{os.getpid()} on ")
    held.__exit__(None, None, None)


def test_a_run_looks_at_nothing_before_it_has_the_lock(tmp_path, monkeypatch):
    def fail(*arguments):
        raise AssertionError("too early")

    run = RunDirectory(tmp_path)
    for name in ("is_finished", "create", "config", "unknown_settings"):
        monkeypatch.setattr(RunDirectory, name, fail)
    monkeypatch.setattr(train, "make_driver", fail)
    with run.locked(), pytest.raises(RunDirectoryError, match="this process"):
        train.train(small_run(), tmp_path, Listener())


# A stand-in for Python on Windows.
NO_UNIX = """
import signal, sys
sys.modules["fcntl"] = None
for name in ("SIGALRM", "SIGHUP", "SIGUSR1", "SIGUSR2", "setitimer", "alarm", "ITIMER_REAL"):
    delattr(signal, name)
from jaxsac import load_policy
from jaxsac.cli import commands
from jaxsac.runs.process.interrupt import Interrupt
with Interrupt():
    pass
try:
    commands.run(["--help"])
except SystemExit as stop:
    assert not stop.code
options = ["--env", "Pendulum-v1", "--run-dir", sys.argv[1]]
sys.exit(commands.run(["train", *options]))
"""


def test_without_the_signals_and_locks_of_unix_help_is_given_and_training_refused_in_one_sentence(
    tmp_path,
):
    program = [sys.executable, "-c", NO_UNIX, str(tmp_path / "run")]
    result = subprocess.run(program, capture_output=True, text=True)
    assert result.returncode == 1
    assert "replay-failure" in result.stdout
    assert result.stderr.count("\n") == 1
    assert "for Linux and macOS" in result.stderr
    assert "--no-lock" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_a_lock_training_does_without_locks(tmp_path, monkeypatch):
    def fail(*arguments):
        raise AssertionError("not to be asked for")

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setattr(lock, "_flock", fail)
    assert train.train(small_run(lock=False), tmp_path / "run", Listener())
    assert not (tmp_path / "run" / lock.NAME).exists()
