"""Measures jaxsac beside other SAC libraries: `python bench.py --help`, or `make bench`.

Every row has a process of its own that waits until it is asked for a block of work. The rows of a
section are asked in turn, round after round, and never two at once, so what else happens on the
machine meets all of them alike.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import figure
import machine
import table
import tyro
from meter import Report
from paths import RESULTS
from process import Worker, WorkerError
from rich.console import Console
from rich.status import Status
from rows import ROWS, SECTIONS, Row
from table import Measurement
from venvs import InstallError, python_of

WARM_UP_SECONDS = 2.0
BUSY = 0.3
"""Load average from which a machine is no place to measure on."""


def main(
    rounds: int = 5,
    seconds: float = 4.0,
    cores: tuple[int, ...] = (1, 2),
    only: tuple[str, ...] = (),
    sections: tuple[str, ...] = SECTIONS,
    results: Path = RESULTS,
) -> None:
    """Measures jaxsac beside other SAC libraries.

    Args:
      rounds: blocks of each row; the table shows their median, minimum and maximum.
      seconds: length of a block.
      cores: numbers of cores to measure on; those that the machine lacks are skipped.
      only: peers to measure (jaxsac, sbx, sb3, cleanrl, rejax, brax); by default all.
      sections: parts of the table to measure; by default all.
      results: folder for table.csv, machine.json and bars.png.
    """
    console = Console()
    if os.getloadavg()[0] > BUSY:
        console.print("[yellow]This machine is busy with something else: expect wide spreads.[/]")
    rows = [row for row in ROWS if (not only or row.peer in only) and row.section in sections]
    pythons, errors = _install(rows, console)
    facts = machine.describe(pythons, rounds=rounds, block_seconds=seconds)
    measurements = []
    for count in cores:
        if count > len(os.sched_getaffinity(0)):
            console.print(f"{count} cores: skipped, the machine has fewer.")
            continue
        for section in SECTIONS:
            chosen = [
                Measurement(row, count, row.left_out or errors.get(row.peer, ""))
                for row in rows
                if row.section == section
            ]
            with console.status("") as status:
                _measure(chosen, pythons, rounds, seconds, status)
            measurements += chosen
    results.mkdir(parents=True, exist_ok=True)
    table.write(measurements, results / "table.csv")
    (results / "machine.json").write_text(json.dumps(facts, indent=2) + "\n")
    figure.draw(results)
    for section in SECTIONS:
        shown = [m for m in measurements if m.row.section == section]
        if shown:
            console.print(table.render(section, shown))


def _install(rows: Sequence[Row], console: Console) -> tuple[dict[str, Path], dict[str, str]]:
    """The interpreter of each peer, and the errors of those that could not be installed."""
    pythons, errors = {}, {}
    for peer in dict.fromkeys(row.peer for row in rows):
        with console.status(f"installing what {peer} needs"):
            try:
                pythons[peer] = python_of(peer)
            except InstallError as error:
                errors[peer] = str(error)
    return pythons, errors


def _measure(
    measurements: Sequence[Measurement],
    pythons: Mapping[str, Path],
    rounds: int,
    seconds: float,
    status: Status,
) -> None:
    """Fills in the measurements of one section on one number of cores."""
    workers: dict[tuple[str, str], Worker] = {}
    with contextlib.ExitStack() as stack:

        def ask(measurement: Measurement, doing: str, seconds: float) -> Report | None:
            """A block of one row, or None once that row has failed."""
            if measurement.note:
                return None
            row, cores = measurement.row, measurement.cores
            status.update(f"{row.section}, {cores} core(s), {doing}: {row.label}")
            process = (row.peer, row.workload)
            if process not in workers:
                worker = Worker(pythons[row.peer], row.peer, row.workload, range(cores))
                workers[process] = stack.enter_context(worker)
            try:
                report = workers[process].measure(row.part, seconds)
            except WorkerError as error:
                measurement.note = str(error)
                return None
            measurement.peak_rss_mib = report.peak_rss_mib
            return report

        for measurement in measurements:
            measurement.setup = ask(measurement, "setting up", 0)
            ask(measurement, "warming up", WARM_UP_SECONDS)
        for number in range(1, rounds + 1):
            for measurement in measurements:
                report = ask(measurement, f"round {number} of {rounds}", seconds)
                if report is not None:
                    measurement.rates.append(report.updates / report.seconds)


if __name__ == "__main__":
    tyro.cli(main)
