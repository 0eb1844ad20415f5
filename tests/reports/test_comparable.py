"""What a report refuses."""

import sys

import pytest

from jaxsac.reports.report import report
from jaxsac.runs.directory.directory import RunDirectoryError
from written_runs import written

quickly = pytest.mark.usefixtures("drawn_quickly")


@quickly
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"env": "probe_environments:Drift-v1"}, "env is .*Drift-v0 in the one and .*Drift-v1 in"),
        ({"env_kwargs": {"g": 9}}, r"env_kwargs is \{\} in the one and \{'g': 9\} in the other"),
        ({"wrapper": ("m:w",)}, r"wrapper is \(\) in the one and \('m:w',\) in the other"),
        ({"eval_episodes": 7}, "eval_episodes is 2 in the one and 7 in the other"),
        ({"eval_every": 0, "column": "train_return"}, "deterministic evaluations in the one and "),
    ],
)
def test_what_was_measured_in_another_way_is_not_compared(tmp_path, settings, message):
    one, other = written(tmp_path / "a", [1, 2]), written(tmp_path / "b", [1, 2], **settings)
    with pytest.raises(ValueError, match=f"a and .*b cannot be compared: .*{message}"):
        report([one, other], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@quickly
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eval_episodes": 5}, "eval_episodes is 2 in"),
        ({"eval_every": 0, "column": "train_return"}, "returns are of deterministic evaluations"),
    ],
)
def test_added_seeds_that_were_measured_in_another_way_are_not_pooled(tmp_path, settings, message):
    run = written(tmp_path / "a", [1, 2])
    written(run / "more-seeds" / "0002-0003", [3, 4], seed=2, **settings)
    with pytest.raises(ValueError, match=f"cannot be taken together: {message}"):
        report(run)


@quickly
def test_runs_without_a_common_step_are_refused_with_what_to_wait_for(tmp_path):
    early = written(tmp_path / "early", [1], steps=(10, 20), finished=False)
    late = written(tmp_path / "late", [1], steps=(30, 40))
    message = "seed 0 of late begin at 30, and those of seed 0 of early end at 20 steps"
    with pytest.raises(ValueError, match=message):
        report([early, late], tmp_path / "out")


@quickly
def test_what_is_no_run_is_refused(tmp_path):
    run = written(tmp_path / "a", [1])
    (tmp_path / "empty").mkdir()
    for path, message in [("gone", "does not exist"), ("empty", "holds neither a run nor a sweep")]:
        with pytest.raises(RunDirectoryError, match=f"{path} {message}"):
            report(tmp_path / path)
    with pytest.raises(ValueError, match="given twice"):
        report([run, tmp_path / "." / "a"])
    with pytest.raises(ValueError, match="runs must be a run directory, or several, got None"):
        report(None)
    with pytest.raises(ValueError, match="give a run directory"):
        report([])
    with pytest.raises(ValueError, match=r"manifest.json is a file"):
        report(run, run / "manifest.json")


@quickly
def test_a_seed_that_is_there_twice_is_refused(tmp_path):
    run = written(tmp_path / "a", [1, 2])
    written(run / "more-seeds" / "0001-0002", [3, 4], seed=1)
    with pytest.raises(ValueError, match=r"seed 1 is there twice: .*a/metrics/seed-0001.csv and"):
        report(run)


def test_a_package_that_is_missing_is_named_with_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"matplotlib: run `pip install 'jaxsac\[report\]"
    ):
        report(tmp_path)
