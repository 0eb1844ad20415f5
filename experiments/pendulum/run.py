"""Pendulum-v1, 10 seeds, 20,000 steps: `python run.py`; the answer goes to `results/`."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
from rich.console import Console

from jaxsac.runs import evaluation
from jaxsac.runs import train as runner
from jaxsac.runs.config import RunConfig
from jaxsac.runs.directory import RunDirectory
from jaxsac.runs.display import Display

RESULTS = Path(__file__).parent / "results"
CONFIG = RunConfig(
    "Pendulum-v1", seeds=10, steps=20_000, learning_starts=1_000, replay_capacity=20_000
)
EPISODES = 100
THRESHOLD = -200.0


def main() -> None:
    """Trains (or finds the finished run), evaluates 100 episodes a seed, and writes the table."""
    directory = Path("runs") / "pendulum-10-seeds"
    with Display(CONFIG, Console()) as display:
        if not runner.train(CONFIG, directory, display):
            raise SystemExit(130)
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
