"""A sweep on other workers is the sweep on this one, also when a worker is killed in between."""

import csv
import os
import socket
import subprocess
import sys

import pytest

import probe_environments
from jaxsac.cli import commands
from jaxsac.sweeps.placement import Placement

# Here, not in the midst of a test: it closes the streams of loggers, of which pytest's is one.
submitit = pytest.importorskip("submitit")
SWEEP = [
    "--seeds", "2", "--steps", "60", "--learning-starts", "20", "--batch-size", "8",
    "--replay-capacity", "200", "--eval-every", "20", "--eval-episodes", "2", "--log-every", "20",
    "--checkpoint-every", "10", "--hidden-sizes", "8", "--set", "actor_lr=1e-3,1e-2",
]  # fmt: skip
EXECUTORS = {
    "slurm": ["--launcher", "slurm", "--launcher-option", "cluster=local"],
    "ray": ["--launcher", "ray"],
}


def command(env, directory, *more):
    env = f"probe_environments:{env}-v0"
    return ["sweep", "--env", env, *SWEEP, "--run-dir", str(directory), *more]


def table(directory):
    """All rows, but for the files that they were in."""
    with (directory / "sweep.csv").open() as file:
        return [{**row, "member": None} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The table of the sweep in this process."""
    directory = tmp_path_factory.mktemp("sweep") / "local"
    assert commands.run(command("Drift", directory)) == 0
    assert len(table(directory)) == 2 * 2 * 3, "points × seeds × rows"
    return table(directory)


@pytest.fixture
def workers_like_this(monkeypatch, tmp_path):
    """Other processes have devices as in a run, and find the environments."""
    for name, value in {
        "JAX_NUM_CPU_DEVICES": "1",
        "PYTHONPATH": os.pathsep.join([os.path.dirname(probe_environments.__file__), *sys.path]),
        "HAPPENED": str(tmp_path / "happened"),
        "RAY_ADDRESS": "local",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=EXECUTORS)
def executor(request, workers_like_this, monkeypatch):
    if request.param == "ray":
        ray = pytest.importorskip("ray")
        yield EXECUTORS["ray"]
        ray.shutdown()
    else:
        # How long it looks for the result of a job that has left none.
        monkeypatch.setattr(submitit.Job, "_results_timeout_s", 0)
        yield EXECUTORS["slurm"]


def test_a_killed_worker_is_replaced_and_the_table_is_that_of_this_process(
    executor, expected, tmp_path, capsys
):
    directory = tmp_path / "sweep"
    assert commands.run(command("KilledOnce", directory, *executor, "--workers", "2")) == 0
    assert table(directory) == expected
    printed = capsys.readouterr().out
    assert printed.count("launched again") == 1
    logs = [(directory / f"all.part-{k}-of-2.log").read_text() for k in (1, 2)]
    assert sorted(log.count("resumes at step 40") for log in logs) == [0, 1]
    assert commands.run(command("KilledOnce", directory)) == 0
    assert capsys.readouterr().out.count("complete: nothing to do") == 2, "in the parts there are"
    assert table(directory) == expected


@pytest.mark.slow
def test_a_worker_whose_training_breaks_says_why_and_is_not_tried_again(executor, tmp_path, capsys):
    assert commands.run(command("Broken", tmp_path, *executor, "--workers", "2")) == 1
    printed, error = capsys.readouterr()
    assert error.count("failed: RuntimeError: the simulator broke (see ") == 2
    assert "launched again" not in printed


@pytest.mark.slow
def test_a_job_at_the_end_of_its_time_saves_and_is_requeued(
    workers_like_this, expected, tmp_path, capsys
):
    directory = tmp_path / "sweep"
    assert commands.run(command("AnnouncedOnce", directory, *EXECUTORS["slurm"])) == 0
    assert table(directory) == expected
    assert "resumes at step 45" in (directory / "all.log").read_text(), "not one step is lost"
    assert "launched again" not in capsys.readouterr().out, "submitit did"


@pytest.mark.slow
def test_processes_of_jax_train_their_parts_and_the_first_reports(
    workers_like_this, expected, tmp_path
):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    directory = tmp_path / "sweep"
    place = ["--launcher", "jax", "--workers", "2", "--coordinator", f"127.0.0.1:{port}"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "jaxsac.cli.main",
             *command("Drift", directory, *place, "--process-id", str(k))],
            stdout=subprocess.PIPE, text=True,
        )
        for k in (0, 1)
    ]  # fmt: skip
    first, second = (process.communicate()[0] for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    assert table(directory) == expected
    assert "all.part-1-of-2" in first
    assert "all.part-2-of-2" not in first
    assert "all.part-2-of-2" in second
    assert ("sweep.csv" in first, "sweep.csv" in second) == (True, False)


# Refusals.


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"workers": 0}, "workers must be at least 1"),
        ({"workers": 4}, "the local launcher is one process"),
        ({"launcher_option": ("num_gpus=1",)}, "for ray and slurm, not for local"),
        ({"coordinator": "host:1"}, "coordinator is for --launcher jax, not for local"),
        ({"launcher": "ray", "process_id": 1}, "process_id is for --launcher jax"),
        ({"launcher": "jax", "coordinator": "host:1"}, "workers and process_id must be given too"),
        ({"launcher": "jax", "workers": 2}, "coordinator and process_id must be given too"),
        (
            {"launcher": "jax", "workers": 2, "coordinator": "host:1", "process_id": 2},
            "process_id must be less than.*2.*got 2",
        ),
    ],
)
def test_workers_that_cannot_be_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        Placement(**given)


@pytest.mark.parametrize(("launcher", "module"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_executor_is_named_with_the_command_that_installs_it(
    launcher, module, monkeypatch, capsys, tmp_path
):
    monkeypatch.setitem(sys.modules, module, None)
    assert commands.run(command("Drift", tmp_path / "sweep", "--launcher", launcher)) == 1
    error = capsys.readouterr().err
    assert f"--launcher {launcher} needs" in error
    assert f"run `pip install 'jaxsac[{launcher}]'`" in error
    assert error.count("\n") == 1


def test_without_slurm_nothing_else_is_taken(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commands.run(command("Drift", tmp_path / "sweep", "--launcher", "slurm")) == 1
    assert "slurm cluster" in capsys.readouterr().err


def test_a_job_that_slurm_does_not_take_ends_the_sweep_with_its_reason(
    tmp_path, capsys, monkeypatch
):
    for name in ("srun", "sbatch", "sacct"):
        (tmp_path / name).write_text("#!/bin/sh\necho invalid partition >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert commands.run(command("Drift", tmp_path / "sweep", "--launcher", "slurm")) == 1
    error = capsys.readouterr().err
    assert "Slurm does not take all: " in error
    assert "invalid partition" in error


@pytest.mark.parametrize("option", ["speed=9", "timeout_min=soon", "speed"])
def test_an_option_that_the_executor_does_not_have_is_refused(option, tmp_path, capsys):
    given = [*EXECUTORS["slurm"], "--launcher-option", option]
    assert commands.run(command("Drift", tmp_path / "sweep", *given)) == 1
    assert option.split("=")[0] in capsys.readouterr().err


def test_more_workers_than_members_is_said(tmp_path, capsys):
    given = [*EXECUTORS["slurm"], "--launcher-option", "speed=9", "--workers", "9"]
    commands.run(command("Drift", tmp_path / "sweep", *given))
    assert "the sweep has 4 parts, fewer than 9 workers" in capsys.readouterr().out
