"""Parts of a sweep on an engine that runs workers: started, watched, and started again when lost.

A worker calls `train`, which resumes where it was, so that starting one again is all the recovery
there is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
import traceback
from collections import deque
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from rich.console import Console

from jaxsac.runner import checkpoint
from jaxsac.runner.interrupt import Interrupt
from jaxsac.runner.run_directory import RunDirectory
from jaxsac.runner.sweep import Group
from jaxsac.runner.train import train
from jaxsac.tools.compiled import keep_compiled_programs
from jaxsac.tools.display import Display
from jaxsac.tools.standing import Standing

LAUNCHES = 3
"""How often in a row a part may be lost without having saved anything new."""
POLL_SECONDS = 0.5
PARTING_SECONDS = 120
"""For workers that were asked to stop, to save what they have."""


class LaunchError(Exception):
    """Parts of a sweep that could not be trained."""


class Outcome(NamedTuple):
    """How a worker ended: "lost" also when it was stopped, with everything saved."""

    kind: Literal["complete", "lost", "failed"]
    reason: str = ""


class Job(Protocol):
    """A part in the hands of an engine."""

    def poll(self) -> Outcome | None:
        """How it ended; None while it waits or runs."""
        ...

    def cancel(self) -> None:
        """Asks its worker to save and stop."""
        ...


class Engine(Protocol):
    """What runs workers, here or elsewhere."""

    def submit(self, part: Group, directory: Path) -> Job:
        """Has a worker run `train_part(part, directory)`.

        Raises:
          LaunchError: the engine refuses.
        """
        ...


def train_part(part: Group, directory: Path) -> Outcome:
    """What a worker does: trains a part, with `<part>.log` in the place of a display.

    Args:
      part: of the sweep.
      directory: of the sweep.
    """
    keep_compiled_programs()
    directory.mkdir(parents=True, exist_ok=True)
    with log_file(part, directory).open("a", buffering=1) as log:
        try:
            with Display(part.config, Console(file=log)) as display:
                complete = train(part.config, directory / part.name, display)
        except Exception as error:
            log.write(traceback.format_exc())
            return Outcome("failed", f"{type(error).__name__}: {error}")
    return Outcome("complete") if complete else Outcome("lost", "stopped")


def log_file(part: Group, directory: Path) -> Path:
    """What the worker of a part says."""
    return directory / f"{part.name}.log"


def is_complete(part: Group, directory: Path) -> bool:
    """Whether a part has been trained to its end."""
    return RunDirectory(directory / part.name).is_finished(part.config)


def launch(
    parts: list[Group], directory: Path, engine: Engine, workers: int, console: Console
) -> bool:
    """Trains all parts, so many at a time as there are workers.

    A part whose worker is lost is launched again, and resumes from its last checkpoint.

    Args:
      parts: those that are complete already are left alone.
      directory: of the sweep, on a file system that all workers share.
      engine: runs them.
      workers: at a time.
      console: shown how far the parts are.

    Returns:
      Whether all are complete; False when Ctrl-C or SIGTERM ended it, and the workers were asked to
      stop.

    Raises:
      LaunchError: `train` refused or broke, or workers were lost too often; names the parts. The
        other parts are trained to their ends before.
    """
    waiting = deque(_Launch(p, directory) for p in parts if not is_complete(p, directory))
    running: list[_Launch] = []
    failures: list[str] = []
    standing = Standing(parts, directory, console)
    with Interrupt() as stop, standing:
        try:
            while (waiting or running) and not stop.requested:
                while waiting and len(running) < workers:
                    running.append(waiting.popleft().start(engine))
                time.sleep(POLL_SECONDS)
                for each, outcome in [(each, each.job.poll()) for each in running]:
                    if outcome is None:
                        continue
                    running.remove(each)
                    if outcome.kind == "lost" and each.may_start_again():
                        standing.message(f"{each.part.name}: {outcome.reason}; launched again.")
                        waiting.append(each)
                    elif outcome.kind != "complete":
                        failures.append(each.failure(outcome))
                        standing.message(failures[-1])
                standing.show()
        finally:
            _part_from([each.job for each in running])
    if failures and not stop.requested:
        raise LaunchError("\n".join(["not all parts could be trained.", *failures]))
    return not stop.requested


@dataclasses.dataclass
class _Launch:
    """A part, and how often it has been lost."""

    part: Group
    directory: Path
    losses: int = 0
    saved: int = 0

    def start(self, engine: Engine) -> _Launch:
        self.job = engine.submit(self.part, self.directory)
        return self

    def may_start_again(self) -> bool:
        """Counts a loss; the count begins anew with every checkpoint."""
        steps = checkpoint.steps(RunDirectory(self.directory / self.part.name).checkpoints)
        saved = max(steps, default=0)
        self.losses = 1 if saved > self.saved else self.losses + 1
        self.saved = saved
        return self.losses < LAUNCHES

    def failure(self, outcome: Outcome) -> str:
        often = f" {LAUNCHES} times without a new checkpoint" if outcome.kind == "lost" else ""
        log = log_file(self.part, self.directory)
        return f"{self.part.name} {outcome.kind}{often}: {outcome.reason} (see {log})"


def _part_from(jobs: list[Job]) -> None:
    """Asks all workers to stop, and gives them time to save."""
    end = time.monotonic() + PARTING_SECONDS
    for job in jobs:
        job.cancel()
    # A second Ctrl-C ends the waiting.
    with contextlib.suppress(KeyboardInterrupt):
        while any(job.poll() is None for job in jobs) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
