"""Steps a second of copies of an environment, by the number of processes that step them.

`python workers.py` writes results/table.csv and results/machine.json, and prints the table.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import tyro

from jaxsac.envs.host import HostEnvs
from jaxsac.runs.config import RunConfig
from jaxsac.training.copies import make_envs

RESULTS = Path(__file__).parent / "results"
sys.path.append(str(Path(__file__).parent))  # of `sleeping`, in workers too


class Case(NamedTuple):
    """Copies of an environment and the numbers of workers that step them in turn."""

    label: str
    env: str
    kwargs: dict[str, Any]
    copies: int
    workers: tuple[int, ...]


SLEEPING = "sleeping:Sleeping"
CASES = (
    Case("20 ms a step, one copy", SLEEPING, {"seconds": 0.02}, 1, (0,)),
    Case("20 ms a step", SLEEPING, {"seconds": 0.02}, 8, (0, 2, 4, 8)),
    Case("1 ms a step", SLEEPING, {"seconds": 0.001}, 8, (0, 2, 4, 8)),
    Case("no time at all", SLEEPING, {"seconds": 0.0}, 8, (0, 1, 2, 4)),
    Case("HalfCheetah-v4", "HalfCheetah-v4", {}, 16, (0, 1, 2)),
)


def main(rounds: int = 5, seconds: float = 1.0, results: Path = RESULTS) -> None:
    """Measures environments alone, without learning.

    Args:
      rounds: blocks of each number of workers, in turn; their median counts.
      seconds: length of a block.
      results: folder to write.
    """
    rows = [row for case in CASES for row in _measure(case, rounds, seconds)]
    results.mkdir(parents=True, exist_ok=True)
    with (results / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    facts = {
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "gymnasium": gymnasium.__version__,
        "rounds": rounds,
        "block_seconds": seconds,
    }
    (results / "machine.json").write_text(json.dumps(facts, indent=2) + "\n")


def _measure(case: Case, rounds: int, seconds: float) -> list[dict[str, Any]]:
    groups = {workers: _make(case, workers) for workers in case.workers}
    rates: dict[int, list[float]] = {workers: [] for workers in groups}
    try:
        for _ in range(rounds):
            for workers, envs in groups.items():
                rates[workers].append(_rate(envs, seconds))
    finally:
        for envs in groups.values():
            envs.close()
    rows = []
    for workers, own in rates.items():
        median = statistics.median(own)
        row = {
            "env": case.label,
            "copies": case.copies,
            "workers": workers,
            "rate_median": f"{median:.0f}",
            "rate_min": f"{min(own):.0f}",
            "rate_max": f"{max(own):.0f}",
            "of_in_turn": f"{median / statistics.median(rates[case.workers[0]]):.2f}",
        }
        print("  ".join(map(str, row.values())), flush=True)
        rows.append(row)
    return rows


def _make(case: Case, workers: int) -> HostEnvs:
    config = RunConfig(case.env, env_kwargs=case.kwargs, num_envs=case.copies, env_workers=workers)
    envs = make_envs(config.to_population(), case.copies)
    envs.reset(range(case.copies))
    return envs


def _rate(envs: HostEnvs, seconds: float) -> float:
    """Transitions a second of all copies together."""
    actions = np.random.default_rng(0).uniform(-1, 1, (100, 1, envs.num_envs, envs.action_map.size))
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        envs.step(actions[count % 100].astype(np.float32))
        count += 1
    return count * envs.num_envs / (time.perf_counter() - start)


if __name__ == "__main__":
    tyro.cli(main)
