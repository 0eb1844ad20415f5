import csv

import pytest

from jaxsac.runner import metrics
from jaxsac.runner.metrics import COLUMNS, MetricsWriter

NAMED = {
    "step", "updates", "utd", "wall_time", "train_return", "train_length", "train_episodes",
    "eval_return", "eval_return_std", "eval_length", "critic_loss", "actor_loss", "alpha_loss",
    "alpha", "entropy", "q_mean", "target_mean", "critic_gradient_norm", "actor_gradient_norm",
    "alpha_gradient_norm", "value_loss", "value_mean", "value_gradient_norm", "skipped",
    "discarded",
}  # fmt: skip


def test_every_seed_has_a_file_with_the_same_columns(tmp_path):
    with MetricsWriter(tmp_path / "metrics", ["seed-0000", "point-001-seed-0012"]):
        pass
    files = sorted(f.name for f in (tmp_path / "metrics").iterdir())
    assert files == ["point-001-seed-0012.csv", "seed-0000.csv"]
    with (tmp_path / "metrics" / "point-001-seed-0012.csv").open() as file:
        assert set(next(csv.reader(file))) == NAMED == set(COLUMNS)


def test_a_row_can_be_read_as_soon_as_it_is_written(tmp_path):
    with MetricsWriter(tmp_path, ["seed-0000", "seed-0001"]) as writer:
        writer.write(1, {"step": 10, "alpha": 0.5})
        (row,) = metrics.read(metrics.path(tmp_path, "seed-0001"))
        assert row["step"] == 10
        assert metrics.read(metrics.path(tmp_path, "seed-0000")) == []


def test_empty_cells_are_none_and_numbers_keep_six_digits(tmp_path):
    with MetricsWriter(tmp_path, ["seed-0000"]) as writer:
        writer.write(0, {"step": 1_000_000_007, "alpha": 1.23456789e-9, "eval_return": None})
        writer.write(0, {"step": 1, "alpha": float("nan"), "train_return": float("inf")})
    first, second = metrics.read(metrics.path(tmp_path, "seed-0000"))
    assert first["step"] == 1_000_000_007
    assert first["alpha"] == pytest.approx(1.23456789e-9, rel=1e-5)
    assert first["eval_return"] is None
    assert first["q_mean"] is None
    assert second["alpha"] != second["alpha"]
    assert second["train_return"] == float("inf")


def test_an_unknown_column_is_refused(tmp_path):
    with (
        MetricsWriter(tmp_path, ["seed-0000"]) as writer,
        pytest.raises(ValueError, match="accuracy"),
    ):
        writer.write(0, {"accuracy": 1})


def test_a_file_with_other_columns_is_not_appended_to(tmp_path):
    with MetricsWriter(tmp_path, ["seed-0000"]) as writer:
        writer.write(0, {"step": 1})
        lengths = writer.lengths()
    file = metrics.path(tmp_path, "seed-0000")
    content = file.read_bytes().replace(b"alpha_loss,", b"losses_,")
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"seed-0000\.csv has other columns"):
        MetricsWriter(tmp_path, ["seed-0000"], lengths)
    assert file.read_bytes() == content


def test_metrics_are_set_aside_where_there_are_rows_and_never_over_others(tmp_path):
    folder = tmp_path / "metrics"
    assert metrics.set_aside(folder) is None
    for number in (1, 2):
        with MetricsWriter(folder, ["seed-0000"]) as writer:
            assert metrics.set_aside(folder) is None
            writer.write(0, {"step": number})
        kept = metrics.set_aside(folder)
        assert kept == tmp_path / f"metrics-before-{number}"
        assert [row["step"] for row in metrics.read(metrics.path(kept, "seed-0000"))] == [number]


def test_a_file_that_was_cut_in_its_first_line_is_begun_again_and_that_is_said(tmp_path):
    with MetricsWriter(tmp_path, ["seed-0000"]) as writer:
        writer.write(0, {"step": 1})
        lengths = writer.lengths()
    file = metrics.path(tmp_path, "seed-0000")
    file.write_bytes(file.read_bytes()[:20])
    with MetricsWriter(tmp_path, ["seed-0000"], lengths) as writer:
        assert not writer.complete
        writer.write(0, {"step": 2})
    assert [row["step"] for row in metrics.read(file)] == [2]
