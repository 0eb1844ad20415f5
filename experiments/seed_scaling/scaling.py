# pyright: reportMissingImports=false
"""Environment steps a second, all seeds together, against the number of seeds.

`python scaling.py` measures on the cores of this machine, one update for each step, and leaves
results/table.csv, machine.json and scaling.png. The processes of the peers are those of the
benchmark in ../performance.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import tyro
from rich.console import Console
from rich.status import Status

sys.path.append(str(Path(__file__).parents[1] / "performance"))

import machine
import plot
from process import Worker, WorkerError
from venvs import python_of

RESULTS = Path(__file__).parent / "results"
WARM_UP_SECONDS = 4.0

HOST, DEVICE = "HalfCheetah-v4, on the host", "Pendulum, in JAX"


class Line(NamedTuple):
    """One way of training several seeds."""

    section: str
    label: str
    peer: str
    workload: str
    """With the number of seeds to be filled in."""
    counts: tuple[int, ...]
    processes: bool = False
    """A process of its own for every seed, on one core each."""


BY_HAND = {
    "1 device, map": (8,),
    "1 device, vmap": (3, 8),
    "2 devices, map": (4, 8, 16),
    "2 devices, vmap": (4, 8, 16),
}
"""Layouts, and the numbers of seeds at which they are compared with the one that jaxsac chooses."""

LINES = (
    Line(HOST, "jaxsac", "jaxsac", "train {} seeds", (1, 2, 3, 4, 8, 16)),
    *(
        Line(HOST, f"jaxsac, {how}", "jaxsac", f"train {{}} seeds, {how}", counts)
        for how, counts in BY_HAND.items()
    ),
    Line(HOST, "SBX, a process a seed", "sbx", "train", (1, 2, 4, 8), processes=True),
    Line(DEVICE, "jaxsac", "jaxsac", "train {} seeds on device", (1, 2, 4, 8, 16)),
    *(
        Line(DEVICE, f"jaxsac, {how}", "jaxsac", f"train {{}} seeds on device, {how}", (8,))
        for how in BY_HAND
    ),
    Line(DEVICE, "rejax, vmap", "rejax", "train {} seeds", (1, 2, 4, 8, 16)),
)


def main(rounds: int = 3, seconds: float = 4.0, results: Path = RESULTS) -> None:
    """Measures jaxsac, rejax and SBX by the number of seeds.

    Args:
      rounds: blocks of each line and number of seeds, in turn; their median counts.
      seconds: length of a block.
      results: folder to write.
    """
    console, cores = Console(), len(os.sched_getaffinity(0))
    pythons = {peer: python_of(peer) for peer in dict.fromkeys(line.peer for line in LINES)}
    facts = machine.describe(pythons, rounds=rounds, block_seconds=seconds)
    rows: list[dict[str, str | int]] = []
    with console.status("") as status:
        for section in (HOST, DEVICE):
            lines = [line for line in LINES if line.section == section]
            for count in sorted({count for line in lines for count in line.counts}):
                chosen = [line for line in lines if count in line.counts]
                for row in _measure(chosen, count, cores, pythons, rounds, seconds, status):
                    console.print("  ".join(map(str, row.values())))
                    rows.append(row)
    results.mkdir(parents=True, exist_ok=True)
    with (results / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (results / "machine.json").write_text(json.dumps(facts, indent=2) + "\n")
    plot.draw(results)


def _measure(
    lines: Sequence[Line],
    count: int,
    cores: int,
    pythons: Mapping[str, Path],
    rounds: int,
    seconds: float,
    status: Status,
) -> Iterator[dict[str, str | int]]:
    """Rows of one number of seeds: its lines are asked in turn, round after round."""
    rates: dict[Line, list[float]] = {line: [] for line in lines}
    notes = dict.fromkeys(lines, "")
    with contextlib.ExitStack() as stack:
        groups: dict[Line, list[Worker]] = {}
        for line in lines:
            places = [[n % cores] for n in range(count)] if line.processes else [range(cores)]
            workload = line.workload.format(count)
            groups[line] = [
                stack.enter_context(Worker(pythons[line.peer], line.peer, workload, place))
                for place in places
            ]
        blocks = [("setting up", 0.0), ("warming up", WARM_UP_SECONDS)]
        blocks += [(f"round {number + 1} of {rounds}", seconds) for number in range(rounds)]
        for doing, length in blocks:
            for line in lines:
                if notes[line]:
                    continue
                status.update(f"{line.section}, {count} seeds, {doing}: {line.label}")
                try:
                    rate = _rate(groups[line], length)
                except WorkerError as error:
                    notes[line] = str(error)
                    continue
                if length == seconds:
                    rates[line].append(rate)
    for line in lines:
        yield {
            "section": line.section,
            "line": line.label,
            "seeds": count,
            "rate_median": f"{statistics.median(rates[line]):.1f}" if rates[line] else "",
            "rate_min": f"{min(rates[line]):.1f}" if rates[line] else "",
            "rate_max": f"{max(rates[line]):.1f}" if rates[line] else "",
            "note": notes[line],
        }


def _rate(workers: Sequence[Worker], seconds: float) -> float:
    """Updates a second of all workers together, working at the same time."""
    with ThreadPoolExecutor(len(workers)) as pool:
        reports = list(pool.map(lambda worker: worker.measure("", seconds), workers))
    return sum(report.updates / report.seconds for report in reports)


if __name__ == "__main__":
    tyro.cli(main)
