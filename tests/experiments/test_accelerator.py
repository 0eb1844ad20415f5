"""The rehearsal of what is run on an accelerator: everything in tiny sizes, on a CPU."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "experiments" / "accelerator" / "run.py"


@pytest.mark.slow
def test_every_section_finds_something_and_is_right(tmp_path):
    done = subprocess.run(
        [sys.executable, RUN, "--rehearse", "--results", tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "measurements.csv").open()))
    found = {row["section"] for row in rows if row["value"]}
    assert found >= {"correct", "pendulum", "update", "host", "robots", "sweep", "learning"}
    assert not any(row["what"] == "section" for row in rows), rows  # one that has failed
    correct = {(row["what"], row["setting"]): row for row in rows if row["section"] == "correct"}
    for what, setting in correct:
        row = correct[what, setting]
        if what.startswith("oracle"):
            assert float(row["value"]) < 1e-5
        elif what in ("the same twice", "beside a poisoned member", "permuted"):
            assert row["value"] == "0"
        elif what == "insertion":
            assert row["note"] == "in place"
        elif row["unit"] == "status":
            assert row["value"] == "0"
