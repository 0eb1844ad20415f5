"""Engines that run workers: Ray's tasks, and Slurm's jobs through submitit."""

from __future__ import annotations

import importlib
import logging
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from jaxsac.runner.sweep import Group
from jaxsac.tools.launch import LaunchError, Outcome, train_part

TIMEOUT_MINUTES = 24 * 60
REQUEUES = 1_000_000
"""After time-outs: a job is requeued as often as need be."""


class RayEngine:
    """Each part is a task of Ray: on the cluster that `ray.init()` finds, or on this machine."""

    def __init__(self, options: dict[str, Any]) -> None:
        """Connects.

        Args:
          options: of `ray.remote`, such as num_cpus (1 by default) and num_gpus.

        Raises:
          ModuleNotFoundError: without Ray; names the command that installs it.
          ValueError: an option that Ray does not have.
        """
        self._ray = _import("ray", "ray")
        # `launch` alone starts lost parts again, so that it can say so and knows when to give up.
        options = {"num_cpus": 1, "max_retries": 0, **options}
        try:
            self._train_part = self._ray.remote(**options)(train_part)
        except TypeError as error:
            raise ValueError(f"--launcher ray: {error}") from error
        self._ray.init(log_to_driver=False, logging_level=logging.WARNING)

    def submit(self, part: Group, directory: Path) -> _RayJob:
        """Has a worker run `train_part(part, directory)`."""
        task = self._train_part.options(name=part.name)
        return _RayJob(self._ray, task.remote(part, directory.resolve()))


class _RayJob:
    def __init__(self, ray: Any, reference: Any) -> None:
        self._ray, self._reference = ray, reference

    def poll(self) -> Outcome | None:
        ray = self._ray
        done, _ = ray.wait([self._reference], timeout=0)
        if not done:
            return None
        try:
            return ray.get(self._reference)
        except ray.exceptions.RayTaskError as error:  # `train_part` could not even be called
            return Outcome("failed", f"{error.cause!r}")
        except ray.exceptions.RayError as error:
            return Outcome("lost", _in_short(error))

    def cancel(self) -> None:
        self._ray.cancel(self._reference)


class SlurmEngine:
    """Each part is a job of Slurm, which submitit writes, sends and watches."""

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        """Looks for Slurm.

        Args:
          folder: for what submitit writes: job files, results and logs.
          options: of `submitit.AutoExecutor.update_parameters`, such as timeout_min,
            gpus_per_node and slurm_partition; `cluster="local"` runs the jobs on this machine.

        Raises:
          ModuleNotFoundError: without submitit; names the command that installs it.
          ValueError: there is no Slurm here, or an option that submitit does not have.
        """
        submitit = _import("submitit", "slurm")
        options = {"timeout_min": TIMEOUT_MINUTES, **options}
        cluster = options.pop("cluster", "slurm")
        try:
            self._executor = submitit.AutoExecutor(
                folder.resolve(), cluster, **{f"{cluster}_max_num_timeout": REQUEUES}
            )
            self._executor.update_parameters(**options)
        except (RuntimeError, NameError, AssertionError) as error:
            raise ValueError(f"--launcher slurm: {error}") from error

    def submit(self, part: Group, directory: Path) -> _SlurmJob:
        """Has a worker run `train_part(part, directory)`.

        Raises:
          LaunchError: Slurm does not take the job.
        """
        self._executor.update_parameters(name=part.name)
        try:
            return _SlurmJob(self._executor.submit(_SlurmWork(part, directory.resolve())))
        except RuntimeError as error:
            raise LaunchError(f"Slurm does not take {part.name}: {error}") from error


class _SlurmJob:
    def __init__(self, job: Any) -> None:
        self._job, self._cancelled = job, False

    def poll(self) -> Outcome | None:
        errors = _import("submitit.core.utils", "slurm")
        if not self._job.done():
            return None
        if self._cancelled:  # there is no result to wait for
            return Outcome("lost", "cancelled")
        try:
            return self._job.result()
        except errors.FailedJobError as error:  # `train_part` could not even be called
            return Outcome("failed", f"{error}")
        except errors.UncompletedJobError as error:
            return Outcome("lost", _in_short(error))

    def cancel(self) -> None:
        self._cancelled = True
        self._job.cancel(check=False)


class _SlurmWork:
    """The call that submitit makes in a job, and makes again in a job that was requeued.

    Slurm announces the end of a job's time, and submitit answers at once by requeueing it, in the
    midst of a step. Here the answer waits until the run is saved.
    """

    def __init__(self, part: Group, directory: Path) -> None:
        self._part, self._directory, self._announced = part, directory, False

    def __call__(self) -> Outcome:
        requeue: Any = signal.signal(signal.SIGUSR2, self._stop)
        outcome = train_part(self._part, self._directory)
        if outcome.kind == "lost":
            if self._announced:
                requeue(signal.SIGUSR2, None)
            # A job without a result: Slurm's state alone says whether it runs again by itself.
            sys.exit(1)
        return outcome

    def checkpoint(self) -> Any:
        """What submitit is to call in the requeued job."""
        submission = _import("submitit.helpers", "slurm").DelayedSubmission
        return submission(_SlurmWork(self._part, self._directory))

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._announced = True
        signal.raise_signal(signal.SIGTERM)


def _import(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"--launcher {extra} needs a package that is not installed ({error}): run "
            f"`pip install 'jaxsac[{extra}]'`.",
            name=error.name,
        ) from error


def _in_short(error: Exception) -> str:
    return " ".join(str(error).splitlines()[:2]) or type(error).__name__
