"""All faults at once: `python faults.py --help`, or `make faults`; the tables lie in results/."""

from __future__ import annotations

import contextlib
import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import corruptions
import tyro
from check_resume import Check

RESULTS = Path(__file__).parent / "results"
ENVS = (
    "HalfCheetah-v5",
    "Hopper-v5",
    "Ant-v5",
    "Humanoid-v5",
    "Reacher-v5",
    "Pendulum-v1",
    "MountainCarContinuous-v0",
    "jaxsac:Pendulum-v1",
)


def main(kills: int = 25, cases: int = 504, envs: tuple[str, ...] = ENVS) -> int:
    """Kills runs and damages checkpoints, and writes down what came of it.

    Args:
      kills: in each environment.
      cases: damaged checkpoints.
      envs: environments to kill runs in.

    Returns:
      1 if any run ended otherwise than one left alone, or took a damaged checkpoint.
    """
    RESULTS.mkdir(exist_ok=True)
    bad = 0
    with _table("corruptions.csv", "damage", "cases", "refused") as table:
        for damage, seen in corruptions.run(cases).items():
            table.writerow((damage, seen.total(), seen["refused"]))
            bad += seen["accepted"]
    with _table("kills.csv", "env", "kills", "runs", "runs that ended the same") as table:
        for env in envs:
            same = Check(env, kills=kills).run()
            table.writerow((env, kills, len(same), sum(same)))
            bad += same.count(False)
    print(f"{bad} went wrong")
    return int(bad > 0)


@contextlib.contextmanager
def _table(name: str, *columns: str) -> Iterator[Any]:
    """A CSV file that is written row by row."""
    with (RESULTS / name).open("w", newline="", buffering=1) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        yield writer


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
