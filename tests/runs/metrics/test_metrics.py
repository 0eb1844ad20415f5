import csv

import jax.numpy as jnp
import numpy as np
import pytest

from jaxsac.runs import files
from jaxsac.runs.metrics import metric_rows, metrics
from jaxsac.runs.metrics.metrics import RUN_COLUMNS, MetricsWriter
from jaxsac.sac.policy import METRICS
from jaxsac.sac.state import Metrics
from jaxsac.training.interval import Interval
from jaxsac.training.returns import Evaluation, Totals
from run_examples import small_run

NAMED = {
    "step", "updates", "utd", "wall_time", "train_return", "train_length", "train_episodes",
    "eval_return", "eval_return_std", "eval_length", "discarded",
}  # fmt: skip
COLUMNS = (*RUN_COLUMNS, "alpha", "q_mean")


def test_every_seed_has_a_file_with_the_same_columns(tmp_path):
    with MetricsWriter(tmp_path / "metrics", ["seed-0000", "point-001-seed-0012"], COLUMNS):
        pass
    files = sorted(f.name for f in (tmp_path / "metrics").iterdir())
    assert files == ["point-001-seed-0012.csv", "seed-0000.csv"]
    with (tmp_path / "metrics" / "point-001-seed-0012.csv").open() as file:
        assert next(csv.reader(file)) == list(COLUMNS)
    assert set(RUN_COLUMNS) == NAMED


def test_a_row_can_be_read_as_soon_as_it_is_written(tmp_path):
    with MetricsWriter(tmp_path, ["seed-0000", "seed-0001"], COLUMNS) as writer:
        writer.write(1, {"step": 10, "alpha": 0.5})
        (row,) = metrics.read(metrics.path(tmp_path, "seed-0001"))
        assert row["step"] == 10
        assert metrics.read(metrics.path(tmp_path, "seed-0000")) == []


def test_a_row_that_is_still_being_written_is_left_out(tmp_path):
    file = metrics.path(tmp_path, "seed-0000")
    file.write_text("step,loss\r\n10,7\r\n2")  # of 20
    assert [row["step"] for row in metrics.read(file)] == [10]


def test_empty_cells_are_none_and_numbers_keep_six_digits(tmp_path):
    with MetricsWriter(tmp_path, ["seed-0000"], COLUMNS) as writer:
        writer.write(0, {"step": 1_000_000_007, "alpha": 1.23456789e-9, "eval_return": None})
        writer.write(0, {"step": 1, "alpha": float("nan"), "train_return": float("inf")})
    first, second = metrics.read(metrics.path(tmp_path, "seed-0000"))
    assert first["step"] == 1_000_000_007
    assert first["alpha"] == pytest.approx(1.23456789e-9, rel=1e-5)
    assert first["eval_return"] is None
    assert first["q_mean"] is None
    assert second["alpha"] != second["alpha"]
    assert second["train_return"] == float("inf")


def test_a_file_that_was_replaced_goes_on_with_the_rows_that_it_has(tmp_path):
    file = metrics.path(tmp_path, "seed-0000")
    with MetricsWriter(tmp_path, ["seed-0000"], COLUMNS) as writer:
        writer.write(0, {"step": 10})
        writer.write(0, {"step": 20})
        assert writer.reopen() == []
        # As editors save.
        edited = b"".join(file.read_bytes().splitlines(keepends=True)[:2])
        (tmp_path / "edited").write_bytes(edited)
        (tmp_path / "edited").rename(file)
        assert writer.reopen() == [file]
        writer.write(0, {"step": 30})
        assert writer.rows() == [2]
    assert [row["step"] for row in metrics.read(file)] == [10, 30]


def test_an_unknown_column_is_refused(tmp_path):
    with (
        MetricsWriter(tmp_path, ["seed-0000"], COLUMNS) as writer,
        pytest.raises(ValueError, match="accuracy"),
    ):
        writer.write(0, {"accuracy": 1})


def resumed(folder, rows, columns=COLUMNS):
    return MetricsWriter(folder, ["seed-0000"], columns, [rows])


def test_a_run_goes_on_in_the_columns_that_its_file_has(tmp_path):
    file = metrics.path(tmp_path, "seed-0000")
    file.write_text("alpha,loss,step,q_mean,{}\r\n0.5,7,1,3\r\n".format(",".join(RUN_COLUMNS[1:])))
    before = file.read_bytes()
    with resumed(tmp_path, 1) as writer:
        assert writer.complete
        assert file.read_bytes() == before
        writer.write(0, {"step": 2, "alpha": 0.25})
    assert file.read_bytes() == before + b"0.25,,2" + b"," * 11 + b"\r\n"


def test_new_columns_are_added_behind_those_that_are_there_and_no_row_is_lost(tmp_path):
    file = metrics.path(tmp_path, "seed-0000")
    file.write_text("step,loss\r\n1,7\r\n2,8\r\n3,9\r\n4,1")
    with resumed(tmp_path, 2) as writer:
        assert writer.complete
        writer.write(0, {"step": 3, "alpha": 0.25})
        assert writer.rows() == [3]
    rows = metrics.read(file)
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert [row["loss"] for row in rows] == [7, 8, None]
    assert [row["alpha"] for row in rows] == [None, None, 0.25]
    assert list(rows[0])[-3:] == ["loss", "alpha", "q_mean"]
    assert len({line.count(b",") for line in file.read_bytes().splitlines()}) == 1
    assert [f.name for f in tmp_path.iterdir()] == [file.name]


def test_columns_that_cannot_be_added_leave_the_file_as_it_was(tmp_path, monkeypatch):
    file = metrics.path(tmp_path, "seed-0000")
    file.write_text("step,loss\r\n1,7\r\n")
    before = file.read_bytes()

    def fail(path):
        raise OSError("no space left on device")

    monkeypatch.setattr(files, "sync", fail)
    with pytest.raises(OSError, match="no space"):
        resumed(tmp_path, 1)
    assert file.read_bytes() == before
    assert [f.name for f in tmp_path.iterdir()] == [file.name]


def test_rows_that_are_not_there_are_noticed(tmp_path):
    with MetricsWriter(tmp_path, ["seed-0000"], COLUMNS) as writer:
        writer.write(0, {"step": 1})
    for rows, complete in ((1, True), (2, False)):
        with resumed(tmp_path, rows) as writer:
            assert writer.complete is complete
            assert writer.rows() == [1]


def test_what_a_file_does_not_have_is_none(tmp_path):
    file = metrics.path(tmp_path, "seed-0000")
    file.write_text("loss,step\n7,1\n8\n")
    nothing = dict.fromkeys(RUN_COLUMNS)
    assert metrics.read(file) == [{**nothing, "step": 1, "loss": 7}, {**nothing, "loss": 8}]


@pytest.mark.parametrize("head", ["loss,alpha", "step,loss,step", "4,5,6"])
def test_what_is_no_table_of_metrics_is_neither_read_nor_written_over(tmp_path, head):
    file = metrics.path(tmp_path, "seed-0000")
    file.write_text(f"{head}\n1,2,3\n")
    for use in (lambda: metrics.read(file), lambda: resumed(tmp_path, 1)):
        with pytest.raises(ValueError, match=r"seed-0000\.csv is not a table of metrics"):
            use()
    assert file.read_text() == f"{head}\n1,2,3\n"


def test_metrics_are_set_aside_where_there_are_rows_and_never_over_others(tmp_path):
    folder = tmp_path / "metrics"
    assert metrics.set_aside(folder) is None
    for number in (1, 2):
        with MetricsWriter(folder, ["seed-0000"], COLUMNS) as writer:
            assert metrics.set_aside(folder) is None
            writer.write(0, {"step": number})
        kept = metrics.set_aside(folder)
        assert kept == tmp_path / f"metrics-before-{number}"
        assert [row["step"] for row in metrics.read(metrics.path(kept, "seed-0000"))] == [number]


def test_a_file_that_was_cut_in_its_first_line_is_begun_again_and_that_is_said(tmp_path):
    with MetricsWriter(tmp_path, ["seed-0000"], COLUMNS) as writer:
        writer.write(0, {"step": 1})
    file = metrics.path(tmp_path, "seed-0000")
    file.write_bytes(file.read_bytes()[:20])
    with resumed(tmp_path, 1) as writer:
        assert not writer.complete
        writer.write(0, {"step": 2})
    assert [row["step"] for row in metrics.read(file)] == [2]


def test_a_row_has_nothing_of_an_actor_that_rested_all_along():
    structs = Metrics({name: jnp.zeros(2) for name in ("q_mean", *METRICS)}, skipped=jnp.zeros(2))
    counts = jnp.array([4, 4]), jnp.array([0, 1])
    told = metric_rows.rows(
        small_run(), 100, 1.0, Interval(structs, *counts), np.zeros(2), Totals.none(2), None
    )
    assert [set(METRICS) & set(row) for row in told] == [set(), set(METRICS)]
    assert all("q_mean" in row for row in told)


def test_an_episode_of_an_evaluation_that_was_given_up_has_no_length():
    structs = Metrics({"q_mean": jnp.zeros(2)}, skipped=jnp.zeros(2))
    measured = Interval(structs, jnp.array([4, 4]), jnp.array([4, 4]))
    evaluated = Evaluation(np.array([[5.0, np.nan], [np.nan] * 2]), np.array([[200, 0], [0, 0]]))
    told = metric_rows.rows(small_run(), 100, 1.0, measured, np.zeros(2), Totals.none(2), evaluated)
    np.testing.assert_array_equal([row["eval_length"] for row in told], [200, np.nan])
