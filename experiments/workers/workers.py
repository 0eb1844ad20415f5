"""Steps a second of copies of an environment, by the number of processes that step them.

A step of all copies waits for the slowest. The quickest tenth of them tells what there is to gain
where nothing else runs.

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

from jaxsac.envs.copies import mujoco_warnings
from jaxsac.envs.host import HostEnvs
from jaxsac.runs.settings.config import RunConfig
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
    mujoco_warnings.redirect()
    load = os.getloadavg()  # of others
    rows = [row for case in CASES for row in _measure(case, rounds, seconds)]
    facts = {
        "cores": len(os.sched_getaffinity(0)),
        "load_average_before": load,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "gymnasium": gymnasium.__version__,
        "rounds": rounds,
        "block_seconds": seconds,
    }
    store(results, "table.csv", rows, "machine.json", facts)


def store(
    results: Path, table: str, rows: list[dict[str, Any]], machine: str, facts: dict[str, Any]
) -> None:
    """Writes what was measured, and what on."""
    results.mkdir(parents=True, exist_ok=True)
    with (results / table).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (results / machine).write_text(json.dumps(facts, indent=2) + "\n")


def _measure(case: Case, rounds: int, seconds: float) -> list[dict[str, Any]]:
    groups = {workers: _make(case, workers) for workers in case.workers}
    blocks: dict[int, list[list[float]]] = {workers: [] for workers in groups}
    try:
        for _ in range(rounds):
            for workers, envs in groups.items():
                blocks[workers].append(_step_times(envs, seconds))
    finally:
        for envs in groups.values():
            envs.close()
    rows = []
    for workers, own in blocks.items():
        rates = [case.copies * len(times) / sum(times) for times in own]
        quick = statistics.quantiles([time for times in own for time in times], n=10)[0]
        row = {
            "env": case.label,
            "copies": case.copies,
            "workers": workers,
            "rate_median": f"{statistics.median(rates):.0f}",
            "rate_min": f"{min(rates):.0f}",
            "rate_max": f"{max(rates):.0f}",
            "rate_of_quickest_tenth": f"{case.copies / quick:.0f}",
        }
        print("  ".join(map(str, row.values())), flush=True)
        rows.append(row)
    return rows


def _make(case: Case, workers: int) -> HostEnvs:
    config = RunConfig(case.env, env_kwargs=case.kwargs, num_envs=case.copies, env_workers=workers)
    envs = make_envs(config.to_population(), case.copies)
    envs.reset(range(case.copies))
    return envs


def _step_times(envs: HostEnvs, seconds: float) -> list[float]:
    """Seconds of each step of all copies together."""
    actions = np.random.default_rng(0).uniform(-1, 1, (100, 1, envs.num_envs, envs.action_map.size))
    times: list[float] = []
    start = now = time.perf_counter()
    while now - start < seconds:
        envs.step(actions[len(times) % 100].astype(np.float32))
        before, now = now, time.perf_counter()
        times.append(now - before)
    return times


if __name__ == "__main__":
    tyro.cli(main)
