"""The scripts in examples/ run as they stand."""

import re
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow  # three runs, each of which compiles
def test_optuna_searches_prunes_and_goes_on_with_its_study(tmp_path, monkeypatch, capsys):
    optuna = pytest.importorskip("optuna", reason="optuna is not installed")

    class AllButTheFirst(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return trial.number > 0

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(optuna.pruners, "MedianPruner", lambda **options: AllButTheFirst())

    def said(trials):
        command = ["optuna_search.py", "--trials", trials, "--steps", "2600", "--seeds", "2"]
        monkeypatch.setattr(sys, "argv", command)
        runpy.run_path(str(EXAMPLES / "optuna_search.py"), run_name="__main__")
        return capsys.readouterr().out

    assert re.search(r"best of 2 trials: -[\d,.]+ with \{'actor_lr': ", said("2"))
    assert "best of 3 trials" in said("1")
    lengths = []
    for number in range(3):
        file = tmp_path / f"runs/optuna/trial-{number:04d}/metrics/seed-0001.csv"
        lengths.append([int(row.split(",")[0]) for row in file.read_text().splitlines()[1:]][-1])
    assert lengths == [2600, 260, 260]
