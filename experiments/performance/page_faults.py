"""What keeping freed memory is worth on this machine: `python page_faults.py --seeds 1`.

The trainer's steps on HalfCheetah-v4 in processes with `runs.process.allocator` and without it, in
turn.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tyro

WARM_UP, STEPS = 300, 1_000
FREED = {"GLIBC_TUNABLES": ""}
"""Tunes nothing; but as it is set, `runs.process.allocator` leaves glibc as it is."""


def main(seeds: int = 1, repeats: int = 4) -> None:
    """Prints medians of the steps after the first update.

    Args:
      seeds: trained together.
      repeats: of each kind.
    """
    found: dict[str, list[dict[str, float]]] = {"kept": [], "freed": []}
    for _ in range(repeats):
        for kind, runs in found.items():
            environment = os.environ | (FREED if kind == "freed" else {})
            command = [sys.executable, __file__, "--measure", str(seeds)]
            said = subprocess.run(
                command, env=environment, check=True, stdout=subprocess.PIPE, text=True
            ).stdout
            runs.append(json.loads(said.splitlines()[-1]))
    print("| freed memory | ms a step | of them user | system | page faults a step |")
    print("|---|---|---|---|---|")
    for kind, runs in found.items():
        wall, user, system, faults = (statistics.median(run[k] for run in runs) for k in runs[0])
        print(f"| {kind} | {wall:.2f} | {user:.2f} | {system:.2f} | {faults:,.0f} |")


def measure(seeds: int) -> None:
    """Trains, and prints what a step takes once it learns."""
    import jaxsac

    marks: list[tuple[float, resource.struct_rusage]] = []

    def on_row(row: dict[str, float]) -> None:
        if row["seed"] == seeds - 1:
            marks.append((time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)))

    with tempfile.TemporaryDirectory() as folder:
        jaxsac.train(
            "HalfCheetah-v4", seeds=seeds, directory=Path(folder) / "run", eval_every=0,
            steps=2 * WARM_UP + STEPS, learning_starts=WARM_UP, log_every=100, checkpoint_every=0,
            replay_capacity=10_000, keep_replay=False, progress=False, on_row=on_row,
        )  # fmt: skip
    (start, before), (end, after) = marks[2 * WARM_UP // 100 - 1], marks[-1]
    print(
        json.dumps(
            {
                "wall": 1e3 * (end - start) / STEPS,
                "user": 1e3 * (after.ru_utime - before.ru_utime) / STEPS,
                "system": 1e3 * (after.ru_stime - before.ru_stime) / STEPS,
                "faults": (after.ru_minflt - before.ru_minflt) / STEPS,
            }
        )
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(int(sys.argv[2]))
    else:
        tyro.cli(main)
