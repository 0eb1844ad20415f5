"""Where a sweep is trained: in this process, by an executor, or by several processes of JAX."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

import tyro
from rich.console import Console

from jaxsac.runs.display.display import Display
from jaxsac.runs.train import train
from jaxsac.sweeps import executors, multihost, plan
from jaxsac.sweeps.launch import launch
from jaxsac.sweeps.plan import Group
from jaxsac.training import seed_axis


class Trained(NamedTuple):
    """What came of a sweep."""

    complete: bool
    """False when it was stopped."""
    parts: list[Group]
    """Whose run directories hold the results."""
    leader: bool = True
    """Whether this is the process, of several, that reports them."""


@dataclasses.dataclass(frozen=True)
class Placement:
    """Which workers train the parts of a sweep."""

    launcher: Literal["local", "ray", "slurm", "jax"] = "local"
    """local: this process, one group after the other. ray: tasks of Ray. slurm: jobs of Slurm. jax:
    this process and others that were started by the same command, as on a TPU pod. Workers share
    the file system."""
    workers: int | None = None
    """How many parts to train at a time, 1 by default. With jax: the number of processes, detected
    where it is not given."""
    launcher_option: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """name=value for the launcher, once for each: of ray.remote (num_cpus, num_gpus), or of
    submitit (timeout_min, gpus_per_node, slurm_partition; cluster=local for jobs without Slurm)."""
    coordinator: str | None = None
    """host:port of process 0, with jax; detected by default."""
    process_id: int | None = None
    """Number of this process, with jax; detected by default."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers}.")
        if self.launcher == "local" and self.workers not in (None, 1):
            raise ValueError(
                f"workers {self.workers}: the local launcher is one process, which uses every "
                "device; for more give --launcher ray, slurm or jax."
            )
        if self.launcher_option and self.launcher not in ("ray", "slurm"):
            raise ValueError(f"launcher_option is for ray and slurm, not for {self.launcher}.")
        self._check_process()

    def _check_process(self) -> None:
        given = {"coordinator": self.coordinator, "process_id": self.process_id}
        named = [name for name, value in given.items() if value is not None]
        if named and self.launcher != "jax":
            raise ValueError(f"{named[0]} is for --launcher jax, not for {self.launcher}.")
        if self.launcher == "jax" and (named or self.workers):
            missing = [n for n, v in {"workers": self.workers, **given}.items() if v is None]
            if missing:
                raise ValueError(
                    f"{' and '.join(missing)} must be given too: --launcher jax needs all of "
                    "workers, coordinator and process_id, or finds out all of them."
                )
        if self.process_id is not None and self.process_id not in range(self.workers or 0):
            raise ValueError(
                f"process_id must be less than the number of workers ({self.workers}), and not "
                f"negative, got {self.process_id}."
            )

    def train(self, groups: list[Group], directory: Path, console: Console) -> Trained:
        """Trains every member, until all are trained or the sweep is stopped.

        Raises:
          ValueError, ModuleNotFoundError: options or packages that the launcher lacks.
          LaunchError: parts that could not be trained.
          Exception: what `runs.train` raises, where this process trains.
        """
        if self.launcher == "jax":
            return self._train_with_others(groups, directory, console)
        workers = self.workers or 1
        planned = _plan(directory, groups, workers, console)
        if self.launcher == "local":
            return Trained(_train_here(planned, directory), planned)
        options = dict(map(_option, self.launcher_option))
        if self.launcher == "ray":
            executor = executors.RayExecutor(options)
        else:
            executor = executors.SlurmExecutor(directory / "submitit", options)
        return Trained(launch(planned, directory, executor, workers, console), planned)

    def _train_with_others(self, groups: list[Group], directory: Path, console: Console) -> Trained:
        # The devices of a CPU are made when the processes join.
        seed_axis.configure_host_devices(sum(group.config.population for group in groups))
        multihost.forget_failures(directory)
        index, count = multihost.join(self.coordinator, self.workers, self.process_id)
        planned = _plan(directory, groups, count, console)
        with multihost.telling_others(directory, index):
            complete = _train_here(planned[index::count], directory)
        complete = complete and multihost.wait(planned, directory, console)
        return Trained(complete, planned, leader=index == 0)


def _plan(directory: Path, groups: list[Group], workers: int, console: Console) -> list[Group]:
    planned = plan.parts(directory, groups, workers)
    if len(planned) < workers:
        parts_there = "one part" if len(planned) == 1 else f"{len(planned)} parts"
        console.print(f"the sweep has {parts_there}, fewer than {workers} workers.")
    return planned


def _train_here(planned: list[Group], directory: Path) -> bool:
    for number, part in enumerate(planned, start=1):
        with Display(part.config) as display:
            display.message(
                f"part {number} of {len(planned)}, {part.name}: {len(part.points)} points × "
                f"{part.config.seeds} seeds"
            )
            if not train(part.config, directory / part.name, display):
                return False
    return True


def _option(text: str) -> tuple[str, Any]:
    """A name, and a value that is read as JSON where it can be, as text otherwise."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"launcher_option must be name=value, got {text!r}.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
