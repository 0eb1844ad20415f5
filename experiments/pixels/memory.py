"""Does a task of 84×84×3 pixels train in the memory that was planned? `python memory.py`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import tyro
from reach import Reach

import jaxsac


def main(steps: int = 1_000, seeds: int = 1, batch_size: int = 256) -> None:
    """Trains in another process, and watches how much it takes from the plan on.

    Args:
      steps: of each seed, of which the last fifty learn.
      seeds: trained together.
      batch_size: transitions of an update.
    """
    command = [sys.executable, __file__, "--train", *map(str, (steps, seeds, batch_size))]
    training = subprocess.Popen(
        command, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True
    )
    assert training.stdout is not None
    resident = Resident(training.pid)
    for line in training.stdout:
        print(line, end="")
        if "memory:" in line:
            resident.start()
    training.wait()
    print(f"taken since the plan, at most: {resident.rise / 1e6:.0f} MB")


def train(steps: int, seeds: int, batch_size: int) -> None:
    """A run whose replay is full at its end."""
    with tempfile.TemporaryDirectory() as folder:
        jaxsac.train(
            Large, directory=Path(folder) / "run", seeds=seeds, steps=steps,
            learning_starts=steps - 50, batch_size=batch_size, replay_capacity=steps,
        )  # fmt: skip


class Large(Reach):
    """The task in the size that Atari's images are often given."""

    def __init__(self) -> None:
        super().__init__(size=84)


class Resident(threading.Thread):
    """Watches the memory of a process, every two milliseconds until it ends."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.rise = 0

    def run(self) -> None:
        """Until the process ends."""
        before = self.process.memory_info().rss
        while self.process.is_running() and (now := self.process.memory_info().rss):
            self.rise = max(self.rise, now - before)
            time.sleep(0.002)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        train(*map(int, sys.argv[2:]))
    else:
        tyro.cli(main)
