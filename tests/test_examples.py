"""The scripts in examples/ run as they stand."""

import re
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow  # five runs, each of which compiles
def test_optuna_searches_prunes_and_goes_on_with_its_study(tmp_path, monkeypatch, capsys):
    optuna = pytest.importorskip("optuna", reason="optuna is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        optuna.pruners, "MedianPruner", lambda **options: optuna.pruners.ThresholdPruner(lower=0)
    )
    # Its returns are negative, so that each trial ends with its first evaluation.
    command = ["optuna_search.py", "--trials", "2", "--steps", "2600", "--seeds", "2"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(ValueError, match="No trials are completed yet"):
        runpy.run_path(str(EXAMPLES / "optuna_search.py"), run_name="__main__")
    rows = (tmp_path / "runs/optuna/trial-0001/metrics/seed-0001.csv").read_text().splitlines()
    assert [int(row.split(",")[0]) for row in rows[1:]] == [260]
    monkeypatch.setattr(
        optuna.pruners, "MedianPruner", lambda **options: optuna.pruners.NopPruner()
    )
    runpy.run_path(str(EXAMPLES / "optuna_search.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert re.search(r"best of 4 trials: -[\d,.]+ with \{'actor_lr': ", said)
    assert (tmp_path / "runs/optuna/trial-0003/best").is_dir()
