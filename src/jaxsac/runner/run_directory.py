"""A run's directory: its manifest, and what may be done with one that exists."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxsac.runner import bundle
from jaxsac.runner.config import WITHOUT_EFFECT, RunConfig

VERSIONED = ("jaxsac", "jax", "jaxlib", "flax", "optax", "numpy", "gymnasium", "mujoco")
LOCK = ".lock"
LONGEST_MANIFEST = 2**20
"""Bytes; a longer one is not ours."""


class RunDirectoryError(Exception):
    """A directory that cannot be used for the run that was asked for."""


class RunDirectory:
    """`manifest.json`, `metrics/`, `checkpoints/`, `failures/` and `report/` of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = path / "manifest.json"
        self.metrics = path / "metrics"
        self.checkpoints = path / "checkpoints"
        self.failures = path / "failures"
        self.report = path / "report"

    def create(self, config: RunConfig) -> bool:
        """Makes the directory for a new run, or opens the one where this run lies.

        A run that lies there may have been begun with fewer steps.

        Returns:
          Whether the run is new.

        Raises:
          RunDirectoryError: it holds something else. The message lists what differs.
        """
        if self.manifest.exists():
            self._check_same(config)
            return False
        if self.path.exists() and any(p.name != LOCK for p in self.path.iterdir()):
            raise RunDirectoryError(f"{self.path} exists, is not empty and is not a run directory.")
        self.path.mkdir(parents=True, exist_ok=True)
        self._write({"config": config.to_json(), "versions": versions(), "finished": False})
        return True

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes out; the system lifts the lock however this one ends.

        Raises:
          RunDirectoryError: another process trains here, or the file system has no locks.
        """
        with (self.path / LOCK).open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.seek(0)
                raise RunDirectoryError(
                    f"another process ({lock.read(20).strip() or 'unknown'}) trains in {self.path}."
                ) from error
            except OSError as error:
                raise RunDirectoryError(
                    f"{self.path} cannot be locked against other processes ({error}): give a run "
                    "directory on a file system that has locks."
                ) from error
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            yield

    def extend(self, config: RunConfig) -> None:
        """Writes down what is asked for now: more steps, and other values of `WITHOUT_EFFECT`."""
        content, wanted = self._read(), config.to_json()
        more = config.steps > content["config"]["steps"]
        for name in WITHOUT_EFFECT + ("steps",) * more:
            content["config"][name] = wanted[name]
        self._write({**content, "finished": content.get("finished") is True and not more})

    def _check_same(self, config: RunConfig) -> None:
        more = config.steps > self.config().steps
        different = self._differences(config, WITHOUT_EFFECT + ("steps",) * more)
        if different:
            raise RunDirectoryError(
                f"{self.path} holds a run with another configuration ({'; '.join(different)}). "
                "Give another run directory, or move that one away."
            )

    def _differences(
        self, config: RunConfig, but_for: tuple[str, ...] = WITHOUT_EFFECT
    ) -> list[str]:
        existing, wanted = self.config().to_json(), config.to_json()
        return [
            f"{name}: {existing[name]!r} there, {wanted[name]!r} asked for"
            for name in wanted
            if existing[name] != wanted[name] and name not in but_for
        ]

    def finish(self) -> None:
        """Marks the run as complete."""
        self._write({**self._read(), "finished": True})

    def is_finished(self, config: RunConfig) -> bool:
        """Whether exactly this run is complete here."""
        if not self.manifest.exists():
            return False
        return not self._differences(config) and self._read().get("finished") is True

    def config(self) -> RunConfig:
        """The configuration of the run that lies here.

        Raises:
          RunDirectoryError: there is no run here, or its manifest cannot be read.
        """
        try:
            return RunConfig.from_json(self._read()["config"])
        except (ValueError, KeyError, TypeError) as error:
            raise RunDirectoryError(f"{self.manifest} cannot be read: {error}.") from error

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(bundle.read_text(self.manifest, LONGEST_MANIFEST))
            if not isinstance(content, dict):
                raise ValueError("not a JSON object")
            return content
        except (OSError, ValueError, RecursionError) as error:
            raise RunDirectoryError(
                f"{self.path} is not a run directory: no readable manifest.json ({error})."
            ) from error

    def _write(self, content: dict[str, Any]) -> None:
        temporary = self.manifest.with_suffix(".tmp")
        temporary.write_text(json.dumps(content, indent=2) + "\n")
        temporary.replace(self.manifest)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for name in VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
