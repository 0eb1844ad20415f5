"""Parts of a sweep on an executor: submitted, watched, and submitted again when a worker is lost.

A worker calls `train`, which resumes where it was, so that submitting a part again is all the
recovery there is.
"""

from __future__ import annotations

import contextlib
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from rich.console import Console

from jaxsac.runs.checkpoints import checkpoint
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.display.display import Display
from jaxsac.runs.process.compilation_cache import keep_compiled_programs
from jaxsac.runs.process.interrupt import Interrupt
from jaxsac.runs.train import train
from jaxsac.sweeps.plan import Group
from jaxsac.sweeps.progress import SweepProgress

LAUNCHES = 3
"""How often a part may be lost without having saved anything new."""
POLL_SECONDS = 0.5
GRACE_SECONDS = 120
"""For workers that were asked to stop, to save what they have."""

Work = Callable[[Group, Path], None]
"""What a worker does with a part and the directory of the sweep: `train_part`."""


class LaunchError(Exception):
    """Parts of a sweep that could not be trained."""


class WorkerLostError(Exception):
    """A worker is gone before its part was complete: killed, or stopped with everything saved."""


class TrainingError(Exception):
    """`train` refused or broke, in words: they travel from any worker, its exception may not."""


class Future(Protocol):
    """A part in the hands of an executor, as in `concurrent.futures`."""

    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        ...

    def result(self) -> object:
        """Returns if the part is complete.

        Raises:
          WorkerLostError: it may be submitted again, and resumes.
          TrainingError: it would fail again.
        """
        ...

    def cancel(self) -> object:
        """Asks the worker to save and stop."""
        ...


class Executor(Protocol):
    """What runs workers, here or elsewhere, as in `concurrent.futures`."""

    def submit(self, fn: Work, part: Group, directory: Path, /) -> Future:
        """Has a worker call `fn(part, directory)`.

        Raises:
          LaunchError: the executor refuses.
        """
        ...


def train_part(part: Group, directory: Path) -> None:
    """What a worker does: trains a part, with `<part>.log` in the place of a display.

    Args:
      part: of the sweep.
      directory: of the sweep.

    Raises:
      WorkerLostError: it was stopped, and everything is saved.
      TrainingError: `train` refused or broke; the log has the traceback.
    """
    keep_compiled_programs()
    directory.mkdir(parents=True, exist_ok=True)
    with log_file(part, directory).open("a", buffering=1) as log:
        try:
            with Display(part.config, Console(file=log)) as display:
                complete = train(part.config, directory / part.name, display)
        except Exception as error:
            log.write(traceback.format_exc())
            raise TrainingError(f"{type(error).__name__}: {error}") from None
    if not complete:
        raise WorkerLostError("stopped")


def log_file(part: Group, directory: Path) -> Path:
    """What the worker of a part says."""
    return directory / f"{part.name}.log"


def is_complete(part: Group, directory: Path) -> bool:
    """Whether a part has been trained to its end."""
    return RunDirectory(directory / part.name).is_finished(part.config)


def launch(
    parts: list[Group], directory: Path, executor: Executor, workers: int, console: Console
) -> bool:
    """Trains all parts, so many at a time as there are workers.

    A part whose worker is lost is submitted again, and resumes from its last checkpoint.

    Args:
      parts: those that are complete already are left alone.
      directory: of the sweep, on a file system that all workers share.
      executor: runs them.
      workers: at a time.
      console: shown how far the parts are.

    Returns:
      Whether all are complete; False when Ctrl-C or SIGTERM ended it, and the workers were asked to
      stop.

    Raises:
      LaunchError: `train` refused or broke, or workers were lost too often; names the parts. The
        other parts are trained to their ends before. Or the executor refuses a part; then the
        others are asked to save and to stop.
    """
    waiting = deque(part for part in parts if not is_complete(part, directory))
    running: dict[Future, Group] = {}
    losses: Counter[tuple[str, int]] = Counter()
    failures: list[str] = []
    progress = SweepProgress(parts, directory, console)
    with Interrupt(progress.stopping) as stop, progress:
        try:
            while (waiting or running) and not stop.requested:
                while waiting and len(running) < workers:
                    part = waiting.popleft()
                    running[executor.submit(train_part, part, directory.resolve())] = part
                time.sleep(POLL_SECONDS)
                for future in [future for future in running if future.done()]:
                    part = running.pop(future)
                    try:
                        _result(future, part, directory, losses)
                    except WorkerLostError as error:
                        progress.message(f"{part.name}: {error}; launched again.")
                        waiting.append(part)
                    except TrainingError as error:
                        log = log_file(part, directory)
                        failures.append(f"{part.name} failed: {error} (see {log})")
                        progress.message(failures[-1])
                progress.show()
        finally:
            _stop(list(running))
    if failures and not (waiting or running):
        raise LaunchError("\n".join(["not all parts could be trained.", *failures]))
    return not (waiting or running)


def _result(future: Future, part: Group, directory: Path, losses: Counter[tuple[str, int]]) -> None:
    """What came of a part; it has failed too when it is lost too often with nothing new saved."""
    try:
        future.result()
    except WorkerLostError as error:
        saved = checkpoint.steps(RunDirectory(directory / part.name).checkpoints)
        # Counted by the latest checkpoint: with every new one the count begins anew.
        loss = part.name, max(saved, default=0)
        losses[loss] += 1
        if losses[loss] < LAUNCHES:
            raise
        raise TrainingError(f"lost {LAUNCHES} times without a new checkpoint: {error}") from error


def _stop(futures: list[Future]) -> None:
    """Asks all workers to stop, and gives them time to save."""
    end = time.monotonic() + GRACE_SECONDS
    for future in futures:
        # Each is asked, also where a second Ctrl-C comes in between.
        with contextlib.suppress(KeyboardInterrupt):
            future.cancel()
    # A second Ctrl-C ends the waiting.
    with contextlib.suppress(KeyboardInterrupt):
        while not all(future.done() for future in futures) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
