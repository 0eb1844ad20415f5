"""Pendulum-v1, 10 seeds, 20,000 steps: `python run.py`; the answer goes to `results/`."""

from __future__ import annotations

import csv
import shutil
import sys
from pathlib import Path

import numpy as np

from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.policies import evaluation
from jaxsac.runs.settings.config import RunConfig

sys.path.append(str(Path(__file__).parents[1]))

from study_runs import finish

RESULTS = Path(__file__).parent / "results"
CONFIG = RunConfig(
    "Pendulum-v1", seeds=10, steps=20_000, learning_starts=1_000, replay_capacity=20_000
)
EPISODES = 100
THRESHOLD = -200.0


def main() -> None:
    """Trains (or finds the finished run), evaluates 100 episodes a seed, and writes the table."""
    directory = Path("runs") / "pendulum-10-seeds"
    finish(CONFIG, directory, "Pendulum-v1")
    deterministic = evaluation.evaluate_run(directory, "latest", EPISODES).deterministic
    means = deterministic.mean(axis=1)
    with (RESULTS / "returns.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("seed", "mean_return", "std_return", "episodes"))
        for member, returns in zip(CONFIG.member_seeds, deterministic, strict=True):
            writer.writerow((member, f"{returns.mean():.2f}", f"{returns.std():.2f}", EPISODES))
    shutil.copy(RunDirectory(directory).manifest, RESULTS / "manifest.json")
    print("mean return by seed:", np.round(means, 1).tolist())
    print(f"{(means > THRESHOLD).sum()} of {CONFIG.seeds} seeds above {THRESHOLD:g}")


if __name__ == "__main__":
    main()
