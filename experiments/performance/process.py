"""The driver's half of the protocol: a worker process that is asked for blocks."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from meter import Report
from paths import HERE, without_paths

TIMEOUT = 300.0
"""Seconds until a worker that does not answer is given up."""

ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "",
    "JAX_ENABLE_COMPILATION_CACHE": "false",
}


class WorkerError(RuntimeError):
    """A worker has ended or does not answer; the message is its last line."""


class Worker:
    """One process of one peer. It works while it is asked for a block and waits otherwise."""

    def __init__(self, python: Path, peer: str, workload: str, cores: Iterable[int]) -> None:
        # It runs in a folder of its own, for what a library may leave where it runs.
        self._folder = tempfile.TemporaryDirectory()
        self._errors = Path(self._folder.name) / "stderr.txt"
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [python, HERE / "worker.py", peer, workload, ",".join(map(str, cores))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=self._folder.name,
                env=os.environ | ENVIRONMENT,
            )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: Any) -> None:
        """Ends the process: it leaves when its input is closed."""
        watchdog = threading.Timer(30, self._process.kill)
        watchdog.start()
        self._process.communicate()
        watchdog.cancel()
        self._folder.cleanup()

    def measure(self, part: str, seconds: float) -> Report:
        """One block of at least `seconds`; with 0 seconds, until the first updates are done.

        Raises:
          WorkerError: there is no report.
        """
        requests, reports = self._process.stdin, self._process.stdout
        assert requests is not None
        assert reports is not None
        watchdog = threading.Timer(TIMEOUT, self._process.kill)
        watchdog.start()
        try:
            print(json.dumps({"part": part, "seconds": seconds}), file=requests, flush=True)
            line = reports.readline()
        except BrokenPipeError:
            line = ""
        timed_out = not watchdog.is_alive()
        watchdog.cancel()
        if not line:
            raise WorkerError(f"no answer in {TIMEOUT:.0f} s" if timed_out else self._last_words())
        return Report(**json.loads(line))

    def _last_words(self) -> str:
        self._process.wait()
        lines = [line.strip() for line in self._errors.read_text().splitlines() if line.strip()]
        return without_paths(lines[-1]) if lines else f"ended with {self._process.returncode}"
