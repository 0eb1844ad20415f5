"""A sweep of 16 points × 4 seeds as one program, against its members one by one.

`python sweep_64.py` runs the sweep and then `jaxsac train` for each of its 64 members, and leaves
results/sweep.csv, sweep.png and times.json.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tyro

RESULTS = Path(__file__).parent / "results"
SEEDS = 4
RATES = ("1e-4", "3e-4", "1e-3", "3e-3")
COMMON = (
    "--env", "jaxsac:Pendulum-v1", "--steps", "6000", "--learning-starts", "1000",
    "--replay-capacity", "6000", "--hidden-sizes", "64", "64", "--eval-every", "1000",
)  # fmt: skip


def main(one_by_one: int = SEEDS * len(RATES) ** 2, results: Path = RESULTS) -> None:
    """Sweeps over both learning rates, and times it.

    Args:
      one_by_one: members to train in processes of their own; all by default.
      results: folder to write.
    """
    results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        # Once for the cache of compiled programs, which both ways use.
        _train(Path(folder) / "first", "1e-4", "1e-4", 0)
        settings = (f"{name}={','.join(RATES)}" for name in ("actor_lr", "critic_lr"))
        sweep = [text for setting in settings for text in ("--set", setting)]
        together = _run("sweep", *sweep, "--seeds", str(SEEDS), "--run-dir", f"{folder}/sweep")
        for name in ("sweep.csv", "sweep.png"):
            shutil.copy(Path(folder) / "sweep" / name, results)
        members = list(itertools.product(RATES, RATES, range(SEEDS)))[:one_by_one]
        alone = [
            _train(Path(folder) / str(number), *member) for number, member in enumerate(members)
        ]
    times = {
        "members": SEEDS * len(RATES) ** 2,
        "together_seconds": round(together, 1),
        "one_by_one": len(alone),
        "one_by_one_seconds": round(sum(alone), 1),
    }
    (results / "times.json").write_text(json.dumps(times, indent=2) + "\n")
    print(json.dumps(times))


def _train(directory: Path, actor_lr: str, critic_lr: str, seed: int) -> float:
    rates = ("--actor-lr", actor_lr, "--critic-lr", critic_lr)
    return _run("train", *rates, "--seed", str(seed), "--run-dir", str(directory))


def _run(*arguments: str) -> float:
    """The seconds that a command of jaxsac takes."""
    start = time.monotonic()
    command = [sys.executable, "-m", "jaxsac.cli.main", *arguments, *COMMON]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


if __name__ == "__main__":
    tyro.cli(main)
