"""Where a run that was stopped goes on: the newest checkpoint that can be used, said in words."""

from __future__ import annotations

import numpy as np

from jaxsac.runs import files
from jaxsac.runs.checkpoints import checkpoint, snapshot
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.checkpoints.snapshot import Snapshot
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.directory.releases import versions
from jaxsac.runs.display.observer import Observer
from jaxsac.runs.metrics import metrics
from jaxsac.runs.settings.config import RunConfig
from jaxsac.training.carry import Carry
from jaxsac.training.driver import Driver
from jaxsac.training.seed_axis import SeedAxis


def resume(
    config: RunConfig,
    run: RunDirectory,
    driver: Driver,
    axis: SeedAxis,
    structs: Carry,
    observer: Observer,
) -> Snapshot | None:
    """Brings a driver to the newest checkpoint that can be used.

    Args:
      config: the run.
      run: its directory.
      driver: that has not started.
      axis: how the learners are laid out.
      structs: of the learners, one row for each member.
      observer: told what was found.

    Returns:
      What the driver does not hold; None where there is no checkpoint, and the run starts again.

    Raises:
      BundleError: there are checkpoints, and none can be used.
    """
    saved = checkpoint.steps(run.checkpoints)
    if not saved:
        # A policy or a failure that was kept is of the learners that are given up.
        kept = [files.set_aside(folder) for folder in (run.best, run.failures) if folder.is_dir()]
        if rows := metrics.set_aside(run.metrics):
            kept.append(rows)
        had = f" What it had is in {', '.join(map(str, kept))}." if kept else ""
        observer.message(f"{run.path} has no checkpoint: starting again.{had}")
    for step in reversed(saved):
        try:
            found, restarted, written_under = snapshot.load(
                run.checkpoints, step, config.member_names, driver, structs, axis
            )
        except BundleError as error:
            if step == saved[0]:
                raise BundleError(
                    f"{error} There is no other checkpoint to go on from: move {run.checkpoints} "
                    "away, and the run starts again."
                ) from error
            observer.message(f"{error} Trying the checkpoint before it.")
            continue
        for refused in saved[saved.index(step) + 1 :]:  # which would be taken for the latest
            moved = files.set_aside(checkpoint.folder(run.checkpoints, refused))
            observer.message(f"The checkpoint that cannot be used is {moved} now.")
        _tell(config, run, driver, restarted, written_under, observer)
        return found
    return None


def _tell(
    config: RunConfig,
    run: RunDirectory,
    driver: Driver,
    restarted: int,
    written_under: dict[str, str],
    observer: Observer,
) -> None:
    held = np.asarray(driver.learning.buffer.size)
    observer.message(
        f"{run.path} resumes at step {driver.step:,}: learners, replay of "
        f"{held.min():,} transitions per seed, environments in mid-episode, metrics."
    )
    if restarted:
        observer.message(
            f"{restarted} of {config.population * config.num_envs} environments do not depend "
            "on their seed and actions alone: their episodes start anew, and the run is not "
            "the one that it would have been."
        )
    changed = [
        f"{name} {written_under.get(name)} -> {now}"
        for name, now in versions().items()
        if written_under.get(name) != now
    ]
    if changed:
        observer.message(
            f"versions have changed ({', '.join(changed)}): the rest of the run may differ in "
            "its last digits from one that was not stopped."
        )
