"""How far a sweep is, from its files."""

from io import StringIO

import pytest
from rich.console import Console

from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.metrics import metrics
from jaxsac.sweeps import plan, progress
from run_examples import small_run


@pytest.fixture
def planned(tmp_path):
    """Two parts of two seeds: one is complete, of the other's seeds one has a row."""
    planned = plan.split(plan.groups(small_run(seeds=4, eval_every=20), ())[0], 2)
    rows = {"seed-0000": [20, 60], "seed-0001": [20, 60], "seed-0002": [20]}
    for part, count in zip(planned, (2, 1), strict=True):
        folder = RunDirectory(tmp_path / part.name).metrics
        members = part.config.member_names[:count]
        with metrics.MetricsWriter(folder, members, metrics.RUN_COLUMNS) as writer:
            for index, member in enumerate(members):
                for step in rows[member]:
                    writer.write(index, {"step": step, "eval_return": step + int(member[-1])})
                    writer.write(index, {"step": step, "train_return": 5000.0})
    return planned


def test_the_latest_returns_and_steps_of_all_members_are_counted(planned, tmp_path):
    assert progress.describe(planned, tmp_path, {}) == (
        "1 of 2 parts, 58% of all steps, return 47.7 ± 18.2"
    )


def test_of_several_points_the_best_is_named_by_its_settings_in_a_line_that_fits(tmp_path):
    settings = ("actor_lr=1e-4,3e-4", "gamma=0.9,0.99")
    (group,) = plan.groups(small_run(seeds=2, eval_every=20), settings)
    parts = plan.split(group, 4)
    for part, value in zip(parts, (1.0, 7.0, 5.0, 3.0), strict=True):
        members = part.config.member_names
        folder = RunDirectory(tmp_path / part.name).metrics
        with metrics.MetricsWriter(folder, members, metrics.RUN_COLUMNS) as writer:
            for index in range(2):
                writer.write(index, {"step": 60, "eval_return": value + index})
    assert progress.describe(parts, tmp_path, {}) == (
        "4 of 4 parts, 100% of all steps, return 7.50 ± 0.50 (best: actor_lr=1e-4 gamma=0.99)"
    )
    output = StringIO()
    with progress.SweepProgress(parts, tmp_path, Console(file=output, width=80)):
        pass
    (line,) = output.getvalue().splitlines()
    assert len(line) == 80
    assert line.endswith("(best: actor_lr=1e…")


def test_only_files_that_have_grown_are_read_again(planned, tmp_path, monkeypatch):
    read, opened, ends = metrics.read, [], {}
    monkeypatch.setattr(metrics, "read", lambda file: opened.append(file.name) or read(file))
    before = progress.describe(planned, tmp_path, ends)
    assert opened == ["seed-0000.csv", "seed-0001.csv", "seed-0002.csv"]
    assert progress.describe(planned, tmp_path, ends) == before
    assert len(opened) == 3
    folder = RunDirectory(tmp_path / planned[1].name).metrics
    with metrics.MetricsWriter(folder, ["seed-0002"], metrics.RUN_COLUMNS) as writer:
        writer.write(0, {"step": 60, "eval_return": 1.0})
    assert progress.describe(planned, tmp_path, ends).startswith("1 of 2 parts, 75% of all")
    assert opened[3:] == ["seed-0002.csv"]


def test_a_file_that_is_being_written_counts_as_none(planned, tmp_path):
    file = metrics.path(RunDirectory(tmp_path / planned[1].name).metrics, "seed-0003")
    file.write_text("step,upda")
    assert progress.describe(planned, tmp_path, {}).startswith("1 of 2 parts, 58% of all")


def test_without_a_terminal_a_line_is_shown_when_there_is_something_new(
    planned, tmp_path, monkeypatch
):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    output = StringIO()
    with progress.SweepProgress(planned, tmp_path, Console(file=output, width=80)) as shown:
        shown.show()
        shown.show()
        shown.message("[a] is lost")
    line, message = output.getvalue().splitlines()
    assert line.endswith("return 47.7 ± 18.2")
    assert message == "[a] is lost"


def test_at_a_terminal_the_line_is_live(planned, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "TERMINAL_SECONDS", 0)
    output = StringIO()
    console = Console(file=output, force_terminal=True, width=120)
    with progress.SweepProgress(planned, tmp_path, console) as shown:
        shown.show()
    assert "58% of all steps" in output.getvalue().splitlines()[-1], "also when it is over"
    assert "\x1b" in output.getvalue()
