import errno
import os
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.metrics import learning_curve
from jaxsac.runs.metrics.metrics import RUN_COLUMNS, MetricsWriter
from run_examples import small_run


def run_with(directory, rows, seeds=2):
    """A run directory whose metrics hold `rows` of (seed index, columns)."""
    run, config = RunDirectory(directory), small_run(seeds=seeds)
    run.create(config)
    with MetricsWriter(run.metrics, config.member_names, RUN_COLUMNS) as writer:
        for seed, row in rows:
            writer.write(seed, row)
    return run


@pytest.fixture
def drawn(monkeypatch):
    """Figures that were saved, with their axes still readable."""
    figures, savefig = [], Figure.savefig

    def save(figure, *args, **options):
        figures.append(figure)
        return savefig(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", save)
    return figures


def test_the_plot_is_a_png(tmp_path):
    rows = [(k, {"step": s, "eval_return": 2.0 * s + k}) for k in (0, 1) for s in (10, 20)]
    plot = learning_curve.write(run_with(tmp_path, rows))
    assert plot == tmp_path / "report" / "learning_curve.png"
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_plot_that_cannot_be_written_is_named_and_the_one_before_it_stays(tmp_path, monkeypatch):
    run, said = run_with(tmp_path, [(0, {"step": 10, "eval_return": 1.0})]), []
    path = learning_curve.draw(run, said.append)
    before = path.read_bytes()

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert learning_curve.draw(run, said.append) is None
    assert path.read_bytes() == before
    (text,) = said
    assert f"No space left on device: '{path}'); all else is saved" in text


def test_the_command_line_waits_for_nothing_that_draws():
    code = "import sys, jaxsac.cli.commands; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_thick_line_is_the_mean_over_the_seeds(tmp_path, drawn):
    rows = [(k, {"step": s, "eval_return": 2.0 * s + 4 * k}) for k in (0, 1) for s in (10, 20)]
    learning_curve.write(run_with(tmp_path, rows))
    lines = {line.get_linewidth(): line.get_xydata().tolist() for line in drawn[0].axes[0].lines}
    assert lines[2.0] == [[10, 22], [20, 42]]
    assert len(drawn[0].axes[0].lines) == 3


def test_the_mean_covers_only_where_every_seed_has_been(tmp_path, drawn):
    rows = [(0, {"step": s, "train_return": 1.0}) for s in (10, 20, 40)]
    rows += [(1, {"step": s, "train_return": 3.0}) for s in (20, 30)]
    learning_curve.write(run_with(tmp_path, rows))
    (mean,) = [line for line in drawn[0].axes[0].lines if line.get_linewidth() == 2]
    assert mean.get_xydata().tolist() == [[20, 2], [30, 2]]


def test_axes_and_curves_are_named(tmp_path, drawn):
    rows = [(0, {"step": 10, "eval_return": 1.0, "train_return": 2.0})]
    learning_curve.write(run_with(tmp_path, rows, seeds=1))
    axes = drawn[0].axes[0]
    assert axes.get_xlabel() == "environment steps per seed"
    assert axes.get_ylabel() == "return"
    assert axes.get_title() == "probe_environments:Drift-v0, 1 seed"
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == [
        "training episodes (sampled policy)",
        "evaluation (deterministic policy)",
    ]


def test_a_seed_without_returns_does_not_stop_the_plot(tmp_path):
    rows = [(0, {"step": 10, "eval_return": 1.0}), (1, {"step": 10})]
    assert learning_curve.write(run_with(tmp_path, rows)) is not None


def test_seeds_whose_returns_do_not_overlap_do_not_stop_the_plot(tmp_path):
    rows = [(0, {"step": s, "train_return": 1.0}) for s in (10, 20)]
    rows += [(1, {"step": s, "train_return": 1.0}) for s in (30, 40)]
    assert learning_curve.write(run_with(tmp_path, rows)) is not None


@pytest.mark.parametrize("rows", [[], [(0, {"step": 10, "discarded": 1})]])
def test_without_a_return_there_is_no_plot(tmp_path, rows):
    assert learning_curve.write(run_with(tmp_path, rows)) is None
    assert not (tmp_path / "report").exists()


def test_drawing_again_replaces_the_plot(tmp_path):
    run = run_with(tmp_path, [(0, {"step": 10, "eval_return": 1.0})])
    first = learning_curve.write(run).read_bytes()
    with MetricsWriter(run.metrics, ["seed-0000", "seed-0001"], RUN_COLUMNS) as writer:
        for step in np.arange(10, 60, 10):
            writer.write(0, {"step": int(step), "eval_return": float(step) ** 2})
    assert learning_curve.write(run).read_bytes() != first
