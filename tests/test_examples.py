"""The scripts in examples/ run as they stand, in a small form."""

import re
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def said(monkeypatch, capsys, tmp_path):
    """Runs a script by its name and arguments; has what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(script, *args):
        monkeypatch.setattr(sys, "argv", [script, *args])
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
        return capsys.readouterr().out

    return run


def numbers(text):
    return [float(number.replace(",", "")) for number in re.findall(r"-?[\d,.]*\d", text)]


def test_all_of_them_are_run_and_are_short():
    source = Path(__file__).read_text()
    for script in EXAMPLES.glob("*.py"):
        assert f'said("{script.name}"' in source, f"{script.name} is not run"
        lines = len(script.read_text().splitlines())
        assert lines < 60, f"{script.name} has {lines} lines"


def test_a_loop_of_ones_own(said):
    printed = said("gymnasium_loop.py", "--steps", "600", "--learning-starts", "590")
    assert [numbers(line)[0] for line in printed.splitlines()] == [200, 400, 600]
    assert all(-2000 < numbers(line)[1] < 0 for line in printed.splitlines())


def test_learning_rates_at_once(said):
    rows = [numbers(line) for line in said("learning_rates.py", "--steps", "600").splitlines()[1:]]
    assert len(rows) == 16
    assert rows[0][-1] < -0.5 < max(row[-1] for row in rows) < 0


def test_the_noise_of_the_actors_gradient(said):
    rows = [numbers(line) for line in said("gradient_noise.py", "--updates", "100").splitlines()]
    assert len(rows) == 12
    assert all(noise > 0 for row in rows[1:] for noise in row[-2:])


def test_learning_from_data_alone(said):
    printed = said("offline.py", "--data", "3", "--updates", "2000", "--episodes", "1")
    assert "after 2,000 updates: return -" in printed


def test_acting_at_fifty_hertz(said):
    printed = said("real_time.py", "1")
    actions, updates = numbers(printed.splitlines()[0])
    assert actions == 50
    assert updates > 1


@pytest.mark.slow  # three runs, each of which compiles
def test_optuna_searches_prunes_and_goes_on_with_its_study(tmp_path, monkeypatch, said):
    optuna = pytest.importorskip("optuna", reason="optuna is not installed")

    class AllButTheFirst(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return trial.number > 0

    monkeypatch.setattr(optuna.pruners, "MedianPruner", lambda **options: AllButTheFirst())
    small = ("--steps", "2600", "--seeds", "2")
    printed = said("optuna_search.py", "--trials", "2", *small)
    assert re.search(r"best of 2 trials: -[\d,.]+ with \{'actor_lr': ", printed)
    assert "best of 3 trials" in said("optuna_search.py", "--trials", "1", *small)
    lengths = []
    for number in range(3):
        file = tmp_path / f"runs/optuna/trial-{number:04d}/metrics/seed-0001.csv"
        lengths.append([int(row.split(",")[0]) for row in file.read_text().splitlines()[1:]][-1])
    assert lengths == [2600, 260, 260]
