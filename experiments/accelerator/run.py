"""Measures jaxsac on an accelerator: `python3 run.py`, with what PYTHONPATH offers and no network.

Sections have the card in the order of their worth, each in a process of its own and with its share
of the time. Before its turn each imports, traces and compiles, also while another one measures,
which the first ones feel. What a section finds is written down at once, so that nothing is lost
when the time is up. Standard library alone, so that the card is free for the sections.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import machine

HERE = Path(__file__).resolve().parent
AHEAD = 3
"""Sections that compile while one has the card: with seven at once on 16 cores none was ready."""
COLUMNS = ("section", "what", "seeds", "setting", "value", "unit", "note")


class Section(NamedTuple):
    """One process."""

    name: str
    module: str
    """File in `sections/`."""
    seconds: float
    """Its share of the time, with what it has not compiled when its turn comes."""
    environment: Mapping[str, str] = {}


UNTUNED = "--xla_gpu_autotune_level=0"
"""Products as they come: to try all ways takes the compiler ten seconds for each shape."""
SECTIONS = (
    Section("correct", "correct", 75),
    Section("pendulum", "device", 70),
    Section("update", "update", 80),
    Section("host", "host", 100),
    Section("peers", "libraries", 80),
    Section("family", "family", 60),
    Section("robots", "robots", 60),
    Section("warp", "robots", 60, {"ACCELERATOR_ROBOTS": "warp"}),
    Section("ant", "robots", 60, {"ACCELERATOR_ROBOTS": "ant", "XLA_FLAGS": UNTUNED}),
    Section("sweep", "sweep", 70),
    Section("learning", "learning", 140),
    Section("float32", "update", 120, {"ACCELERATOR_PRECISION": "float32"}),
    Section("fast", "recipe", 200, {"ACCELERATOR_RECIPE": "fast"}),
    Section("flashsac", "recipe", 210, {"ACCELERATOR_RECIPE": "flashsac"}),
)
"""By what they are worth: the first are run, whatever becomes of the time."""


def main() -> None:
    """Runs the sections that are asked for, and prints one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [section.name for section in SECTIONS]
    parser.add_argument(
        "--sections", default=",".join(names), help="names or numbers, as in host:30,peers"
    )
    parser.add_argument("--seconds", type=float, default=530, help="for all of them")
    parser.add_argument("--results", type=Path, help="folder to write to")
    parser.add_argument("--rehearse", action="store_true", help="tiny sizes, on any machine")
    options = parser.parse_args()
    facts = machine.describe()
    results = options.results or HERE / "results" / f"{facts['date']}-{machine.slug(facts)}"
    results.mkdir(parents=True, exist_ok=True)
    (results / "machine.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts), flush=True)
    end = time.monotonic() + options.seconds
    chosen = [section_of(asked) for asked in options.sections.split(",")]
    processes = [start(section, results, options.rehearse) for section in chosen[: 1 + AHEAD]]
    with (results / "measurements.csv").open("a", newline="") as file:
        rows = csv.DictWriter(file, COLUMNS)
        if not file.tell():
            rows.writeheader()
        for number, section in enumerate(chosen):
            process = processes[number]
            following = chosen[len(processes) : number + 1 + AHEAD]
            processes += [start(one, results, options.rehearse) for one in following]
            seconds = 600 if options.rehearse else min(section.seconds, end - time.monotonic())
            if seconds < 10:
                print(f"{section.name}: no time left", flush=True)
                kill(process)
                continue
            for row in run(section, process, seconds):
                rows.writerow({"section": section.name, **row})
                file.flush()
    print_table(results)


def section_of(asked: str) -> Section:
    """By name or number, with another share of the time behind a colon if that is wished."""
    which, _, seconds = asked.partition(":")
    names = [section.name for section in SECTIONS]
    section = SECTIONS[int(which) - 1 if which.isdigit() else names.index(which)]
    return section._replace(seconds=float(seconds)) if seconds else section


def start(section: Section, results: Path, rehearse: bool) -> subprocess.Popen[str]:
    """Starts the process of a section, which waits for its turn when it is ready."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "ACCELERATOR_RESULTS": str(results)}
    environment |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", **section.environment}
    if rehearse:
        environment["ACCELERATOR_REHEARSE"] = "1"
    with (results / f"log-{section.name}.txt").open("a") as log:
        return subprocess.Popen(
            [sys.executable, str(HERE / "sections" / f"{section.module}.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment,
            start_new_session=True,
        )  # fmt: skip


def run(section: Section, process: subprocess.Popen[str], seconds: float) -> Any:
    """Gives a section the card, and yields what it finds as it finds it."""
    began = time.monotonic()
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError):  # it has ended, which is said below
        print(seconds, file=process.stdin, flush=True)
    # It keeps to its share by itself; this is for one that hangs.
    watchdog = threading.Timer(seconds + 5, kill, [process])
    watchdog.start()
    for line in process.stdout:
        row = json.loads(line)
        value = row["value"]
        shown = value if isinstance(value, str) else f"{value:,.4g}"
        about = " ".join(str(row[k]) for k in ("what", "seeds", "setting") if row[k] != "")
        print(
            f"[{time.monotonic() - began:5.1f}] {section.name}: {about}: {shown} {row['unit']}"
            f" {row['note']}",
            flush=True,
        )
        yield row
    code = process.wait()
    watchdog.cancel()
    if code:
        how = "ran out of its time" if code == -signal.SIGKILL else f"ended with {code}"
        print(f"{section.name}: {how}, see its log", flush=True)
        yield dict.fromkeys(COLUMNS[1:], "") | {"what": "section", "note": how}
    print(f"{section.name}: {time.monotonic() - began:.0f} s", flush=True)


def kill(process: subprocess.Popen[str]) -> None:
    """Ends a section and what it has started."""
    os.killpg(process.pid, signal.SIGKILL)


def print_table(results: Path) -> None:
    """All that is stored, for a terminal."""
    with (results / "measurements.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    widths = "{:<10}{:<34}{:>6} {:<18}{:>12} {}"
    print("\n" + widths.format(*COLUMNS[:5], "unit"))
    for row in rows:
        try:
            value = f"{float(row['value']):,.4g}"
        except ValueError:
            value = row["value"]
        about = [row[name] for name in COLUMNS[:4]]
        print(widths.format(*about, value, f"{row['unit']} {row['note']}"))


if __name__ == "__main__":
    main()
