"""What experiments store of a run."""

import sys
from pathlib import Path

import numpy as np

from jaxsac.runs.directory.directory import RunDirectory
from written_runs import written

sys.path.append(str(Path(__file__).parents[2] / "experiments"))

from study_runs import curves, store


def test_seeds_that_were_added_later_are_stored_too(tmp_path):
    run = written(tmp_path / "run", [1, 2])
    written(run / "more-seeds" / "0002-0003", [3, 4], seed=2)
    store(RunDirectory(run), tmp_path / "stored")
    steps, of_seeds = curves(tmp_path / "stored" / "returns.csv")
    assert list(of_seeds) == ["0", "1", "2", "3"]
    for seed, returns in of_seeds.items():
        np.testing.assert_allclose(returns, (int(seed) + 1) * steps / 50)
