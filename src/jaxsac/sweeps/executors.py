"""Executors that run workers elsewhere: Ray's tasks, and Slurm's jobs through submitit."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from jaxsac import packages
from jaxsac.sweeps.launch import LaunchError, TrainingError, Work, WorkerLostError
from jaxsac.sweeps.plan import Group

TIMEOUT_MINUTES = 24 * 60
REQUEUES = 1_000_000
"""After time-outs: a job is requeued as often as need be."""


class RayExecutor:
    """Each part is a task of Ray: on the cluster that `ray.init()` finds, or on this machine."""

    def __init__(self, options: dict[str, Any]) -> None:
        """Connects.

        Args:
          options: of `ray.remote`, such as num_cpus (1 by default) and num_gpus.

        Raises:
          ModuleNotFoundError: without Ray; names the command that installs it.
          ValueError: an option that Ray does not have.
        """
        self._ray = _ray()
        # `launch` alone starts lost parts again, so that it can say so and knows when to give up.
        options = {"num_cpus": 1, "max_retries": 0, **options}
        try:
            self._task = self._ray.remote(**options)(_call)
        except TypeError as error:
            raise ValueError(f"--launcher ray: {error}") from error
        self._ray.init(log_to_driver=False, logging_level=logging.WARNING)

    def submit(self, fn: Work, part: Group, directory: Path, /) -> _RayFuture:
        """Has a worker call `fn(part, directory)`."""
        return _RayFuture(self._task.options(name=part.name).remote(fn, part, directory))


def _call(fn: Work, part: Group, directory: Path) -> None:
    fn(part, directory)


class _RayFuture:
    def __init__(self, reference: Any) -> None:
        self._ray, self._reference = _ray(), reference

    def done(self) -> bool:
        done, _ = self._ray.wait([self._reference], timeout=0)
        return bool(done)

    def result(self) -> None:
        errors = self._ray.exceptions
        try:
            self._ray.get(self._reference)
        except errors.RayTaskError as error:
            if isinstance(error.cause, WorkerLostError | TrainingError):
                raise error.cause from None
            raise TrainingError(repr(error.cause)) from error  # the worker could not even begin
        except errors.RayError as error:
            raise WorkerLostError(_in_short(error)) from error

    def cancel(self) -> None:
        self._ray.cancel(self._reference)


class SlurmExecutor:
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
        submitit = _submitit()
        options = {"timeout_min": TIMEOUT_MINUTES, **options}
        cluster = options.pop("cluster", "slurm")
        try:
            self._executor = submitit.AutoExecutor(
                folder.resolve(), cluster, **{f"{cluster}_max_num_timeout": REQUEUES}
            )
            self._executor.update_parameters(**options)
        except (RuntimeError, NameError, AssertionError) as error:
            raise ValueError(f"--launcher slurm: {error}") from error

    def submit(self, fn: Work, part: Group, directory: Path, /) -> _SlurmFuture:
        """Has a worker call `fn(part, directory)`.

        Raises:
          LaunchError: Slurm does not take the job.
        """
        self._executor.update_parameters(name=part.name)
        try:
            return _SlurmFuture(self._executor.submit(_SlurmCall(fn, part, directory)))
        except RuntimeError as error:
            raise LaunchError(f"Slurm does not take {part.name}: {error}") from error


class _SlurmFuture:
    def __init__(self, job: Any) -> None:
        self._job = job

    def done(self) -> bool:
        return self._job.done()

    def result(self) -> None:
        errors = _submitit().core.utils
        try:
            failure = self._job.result()
        except errors.FailedJobError as error:  # the worker could not even begin
            raise TrainingError(str(error)) from error
        except errors.UncompletedJobError as error:
            raise WorkerLostError(_in_short(error)) from error
        if failure is not None:
            raise failure

    def cancel(self) -> None:
        self._job.cancel(check=False)


class _SlurmCall:
    """The call that submitit makes in a job, and makes again in a job that was requeued.

    Slurm announces the end of a job's time, and submitit answers at once by requeueing it, in the
    midst of a step. Here the answer waits until the run is saved.
    """

    def __init__(self, fn: Work, part: Group, directory: Path) -> None:
        self._call, self._announced = (fn, part, directory), False

    def __call__(self) -> TrainingError | None:
        """Returns a failure; of one that is raised submitit would bring the traceback alone."""
        requeue: Any = signal.signal(signal.SIGUSR2, self._stop)
        fn, part, directory = self._call
        try:
            fn(part, directory)
        except TrainingError as failure:
            return failure
        except WorkerLostError:
            if self._announced:
                requeue(signal.SIGUSR2, None)
            # A job without a result: Slurm's state alone says whether it runs again by itself.
            sys.exit(1)

    def checkpoint(self) -> Any:
        """What submitit is to call in the requeued job."""
        return _submitit().helpers.DelayedSubmission(_SlurmCall(*self._call))

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._announced = True
        signal.raise_signal(signal.SIGTERM)


def _ray() -> Any:
    return packages.load("--launcher ray", "ray", "ray")[0]


def _submitit() -> Any:
    return packages.load("--launcher slurm", "slurm", "submitit")[0]


def _in_short(error: Exception) -> str:
    return " ".join(str(error).splitlines()[:2]) or type(error).__name__
