"""Kills a run at random moments, resumes it, and compares it with one that was left alone.

`python check_resume.py --env Hopper-v5 --kills 5`, or `make check-resume ENV=Hopper-v5`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tyro

from jaxsac.runs.checkpoints import checkpoint
from jaxsac.runs.metrics import metrics


@dataclasses.dataclass
class Check:
    """Kill a run at random moments and compare its end with that of a run left alone."""

    env: str
    """Id of the environment, as for `jaxsac train`."""
    kills: int = 3
    """How often a run is killed in all; when it is done before, another one begins."""
    seeds: int = 2
    """Seeds trained together."""
    steps: int = 3000
    """Transitions per seed; the run saves after each hundredth of them."""
    random_seed: int = 0
    """Of the moments at which the run is killed."""

    def run(self) -> list[bool]:
        """Prints the hashes.

        Returns:
          Of each run that was killed, whether it ended as the one left alone.

        Raises:
          RuntimeError: a run has failed.
        """
        moments, left, same = random.Random(self.random_seed), self.kills, []
        with tempfile.TemporaryDirectory() as folder:
            expected = self._finish(Path(folder) / "alone")
            print(f"{self.env}, left alone      {expected}")
            while left:
                directory, kills = Path(folder) / str(len(same)), 0
                while kills < left and self._kill_once(directory, moments):
                    kills += 1
                if not kills:
                    raise RuntimeError(f"{self.steps} steps are too few to kill the run in time.")
                found = self._finish(directory)
                print(f"{self.env}, killed {kills} times  {found}", flush=True)
                left -= kills
                same.append(found == expected)
        return same

    def _finish(self, directory: Path) -> str:
        """Trains to the end, and returns the hash of what is there."""
        if self._start(directory).wait():
            raise RuntimeError(f"the run in {directory} has failed.")
        return digest(directory)

    def _start(self, directory: Path) -> subprocess.Popen[bytes]:
        every = max(1, self.steps // 100)
        options = {
            "env": self.env, "seeds": self.seeds, "steps": self.steps, "run-dir": directory,
            "learning-starts": 5 * every, "batch-size": 5 * every, "hidden-sizes": 32,
            "replay-capacity": self.steps // 2, "eval-every": 20 * every, "eval-episodes": 1,
            "log-every": 10 * every, "checkpoint-every": every,
        }  # fmt: skip
        flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        command = [sys.executable, "-m", "jaxsac.cli.main", "train", *flags]
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
    last = checkpoint.folder(
        directory / "checkpoints", checkpoint.latest(directory / "checkpoints")
    )
    for file in sorted(last.glob("*.safetensors")):
        found.update(file.read_bytes())
    for file in sorted((directory / "metrics").iterdir()):
        rows = [{**row, "wall_time": None} for row in metrics.read(file)]
        found.update(str(rows).encode())
    return found.hexdigest()


def main(check: Check) -> int:
    """The exit status is 0 if every run that was killed ended as the one left alone."""
    same = all(check.run())
    print("the same, bit for bit" if same else "NOT THE SAME")
    return int(not same)


if __name__ == "__main__":
    sys.exit(tyro.cli(main, config=(tyro.conf.OmitArgPrefixes,)))
