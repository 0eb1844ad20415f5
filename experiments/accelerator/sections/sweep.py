"""A sweep as one program, and some of its members alone."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

from section import REHEARSE, attempt, leave, left, row, wait_for_card  # isort: skip
import numpy as np
from driving import settings

import jaxsac
from jaxsac.runs.train import train

POINTS, SEEDS, STEPS = (2, 2, 60) if REHEARSE else (64, 4, 5_000)
ALONE = 1 if REHEARSE else 4


class Silent:
    """An observer that keeps when training began."""

    began = 0.0

    def message(self, text: str) -> None: ...

    def phase(self, phase: object) -> None:
        if phase in ("warm-up", "training") and not self.began:
            self.began = time.perf_counter()

    def started(self, step: int, seconds: float) -> None: ...

    def stepped(self, step: int) -> None: ...

    def progress(self, progress: object) -> None: ...


def main() -> None:
    """Seconds of the whole sweep, with everything that a run writes down, and of members alone."""
    wait_for_card()
    rates: Any = tuple(np.geomspace(1e-4, 3e-3, POINTS).tolist())
    sweep = dataclasses.replace(
        settings("jaxsac:Pendulum-v1", SEEDS, replay_capacity=STEPS, log_every=STEPS // 2,
                 hyperparameters=jaxsac.Hyperparameters(critic_lr=rates)),
        steps=STEPS,
    )  # fmt: skip
    attempt("sweep", measure, "sweep, one program", sweep, seeds=POINTS * SEEDS)
    for rate in rates[:: POINTS // ALONE][:ALONE]:
        if left() > 5 or REHEARSE:
            alone = dataclasses.replace(
                sweep, seeds=1, hyperparameters=jaxsac.Hyperparameters(critic_lr=rate)
            )
            attempt("member", measure, "member alone", alone, seeds=1)


def measure(what: str, config) -> None:
    """Seconds in all, and without what comes before the first step."""
    observer, start = Silent(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        train(config, Path(folder), observer)
    end = time.perf_counter()
    row(what, end - start, "s", config.population)
    row(f"{what}, compiled", end - observer.began, "s", config.population)


if __name__ == "__main__":
    leave(main)
