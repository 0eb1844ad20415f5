"""Other libraries in the same call: networks, batch and updates per step are alike."""

from __future__ import annotations

import importlib
import time
from typing import Any

from section import REHEARSE, attempt, leave, left, row, wait_for_card  # isort: skip
from peers import settings  # pyright: ignore[reportMissingImports]

STEPS = 20 if REHEARSE else 200


class OverError(Exception):
    """A measurement has what it needs."""


class Meter:
    """Takes the place of the meter that those workloads count their updates with."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._calls, self.rate = seconds, 0, 0.0
        self._updates = 0

    def add(self, updates: int) -> None:
        """Counts updates that are done; the first calls, which compile, are not in the rate."""
        now = time.perf_counter()
        self._calls += 1
        if self._calls == 2:
            self._start = now
        if self._calls > 2:
            self._updates += updates
            self.rate = self._updates / (now - self._start)
            if now - self._start > self._seconds:
                raise OverError


def main() -> None:
    """Rows of rates, a learner's environment and updates included."""
    cases = [
        ("rejax, Pendulum-v1", "rejax", "train 256 seeds", 256),
        ("SBX, HalfCheetah-v4", "sbx", "train", 1),
        ("rejax, Pendulum-v1", "rejax", "train 1 seeds", 1),
        ("rejax, Pendulum-v1", "rejax", "train 64 seeds", 64),
        ("Brax, inverted_pendulum", "brax", "train", 1),  # compiles for most of a minute
    ]
    for peer in () if REHEARSE else ("rejax", "sbx", "brax"):
        attempt(f"import {peer}", importlib.import_module, f"peers.run_{peer}")
    wait_for_card()
    for what, peer, workload, seeds in cases[:1] if REHEARSE else cases:
        seeds = 2 if REHEARSE else seeds
        attempt(what, measure, what, peer, workload, seeds, seeds=seeds)


def measure(what: str, peer: str, workload: str, seeds: int) -> None:
    """One peer's rate."""
    module: Any = importlib.import_module(f"peers.run_{peer}")
    if peer in ("rejax", "brax"):
        module.STEPS = STEPS
    meter = Meter(min(4.0, max(left() - 20, 0.5)))
    try:
        if peer == "rejax":
            module.train(seeds, meter)
        else:
            module.WORKLOADS[workload](meter)
    except OverError:
        row(what, meter.rate, "seed-steps/s", seeds)
        row(f"{what}, each", meter.rate / seeds, "steps/s", seeds)


if __name__ == "__main__":
    if REHEARSE:
        settings.BATCH_SIZE, settings.HIDDEN_SIZES = 8, (16, 16)
        settings.LEARNING_STARTS = 16
    leave(main)
