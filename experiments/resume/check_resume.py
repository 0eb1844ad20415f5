"""Kills a run at random moments, lets it go on, and compares it with one that was left alone.

`python check_resume.py --env Hopper-v5 --kills 5`, or `make check-resume ENV=Hopper-v5`.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tyro

from jaxsac.runner import checkpoint, metrics

RESULTS = Path(__file__).parent / "results" / "kills.csv"


@dataclasses.dataclass
class Check:
    """Kill a run at random moments and compare its end with that of a run left alone."""

    env: str
    """Gymnasium id, or module:EnvId."""
    kills: int = 3
    """How often the run is killed; fewer if it is done before."""
    seeds: int = 2
    """Seeds trained together."""
    steps: int = 3000
    """Transitions per seed; the run saves after each hundredth of them."""
    random_seed: int = 0
    """Of the moments at which the run is killed."""
    record: bool = False
    """Append the outcome to results/kills.csv."""

    def run(self) -> int:
        """Prints both hashes; the exit status is 0 if they are equal."""
        with tempfile.TemporaryDirectory() as folder:
            alone, killed = Path(folder) / "alone", Path(folder) / "killed"
            if self._start(alone).wait() != 0:
                return 1
            moments, kills = random.Random(self.random_seed), 0
            while kills < self.kills and self._kill_once(killed, moments):
                kills += 1
            if self._start(killed).wait() != 0:
                return 1
            expected, found = digest(alone), digest(killed)
        print(f"left alone      {expected}\nkilled {kills} times  {found}")
        same = expected == found
        print("the same, bit for bit" if same else "NOT THE SAME")
        if self.record:
            record(self.env, self.seeds, self.steps, kills, same)
        return 0 if same else 1

    def _start(self, directory: Path) -> subprocess.Popen[bytes]:
        every = max(1, self.steps // 100)
        options = {
            "env": self.env, "seeds": self.seeds, "steps": self.steps, "run-dir": directory,
            "learning-starts": 5 * every, "batch-size": 5 * every, "hidden-sizes": 32,
            "replay-capacity": self.steps // 2, "eval-every": 20 * every, "eval-episodes": 1,
            "log-every": 10 * every, "checkpoint-every": every,
        }  # fmt: skip
        flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        command = [sys.executable, "-m", "jaxsac.tools.cli", "train", *flags]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def _kill_once(self, directory: Path, moments: random.Random) -> bool:
        """Lets the run save at least once more; False if it was done before it could be killed."""
        before = checkpoint.steps(directory / "checkpoints")
        process = self._start(directory)
        while process.poll() is None and checkpoint.steps(directory / "checkpoints") == before:
            time.sleep(0.002)
        try:
            process.wait(moments.uniform(0, 0.5))
            return False
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return True


def digest(directory: Path) -> str:
    """SHA-256 of everything that may not depend on how often a run was stopped."""
    found = hashlib.sha256()
    last = directory / "checkpoints" / str(checkpoint.latest(directory / "checkpoints"))
    for file in sorted(last.glob("*.safetensors")):
        found.update(file.read_bytes())
    for file in sorted((directory / "metrics").iterdir()):
        rows = [{**row, "wall_time": None} for row in metrics.read(file)]
        found.update(str(rows).encode())
    return found.hexdigest()


def record(*cells: object) -> None:
    """Appends a line to the table of all checks."""
    RESULTS.parent.mkdir(exist_ok=True)
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(("env", "seeds", "steps", "kills", "same"))
        writer.writerow(cells)


if __name__ == "__main__":
    sys.exit(tyro.cli(Check).run())
