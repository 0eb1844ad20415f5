"""The complete state of a run, to and from a checkpoint."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsac.data.frames import Frames
from jaxsac.envs.checked import is_fault
from jaxsac.runs import upgrade
from jaxsac.runs.checkpoints import checkpoint, rings
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.directory.releases import versions
from jaxsac.runs.process import flags
from jaxsac.training.carry import Carry, Policy
from jaxsac.training.driver import Driver
from jaxsac.training.returns import Totals
from jaxsac.training.seed_axis import SeedAxis
from jaxsac.types import PyTree


class Snapshot(NamedTuple):
    """A run between two steps, but for what its driver holds."""

    logged: int
    """The last step that has been evaluated, logged and saved as far as it was due."""
    seconds: float
    """Of training so far."""
    totals: Totals
    """Of the episodes that have ended since the last row of the metrics, and of all steps discarded
    so far."""
    train_returns: list[float | None]
    """Of each member's latest training episodes; None before the first."""
    eval_returns: list[float | None]
    """Of each member's latest evaluation; None before the first."""
    metrics_rows: list[int]
    """Of each metrics file."""
    offline_updates: int = 0
    """On prior data alone, before the first action."""

    @classmethod
    def start(cls, population: int) -> Snapshot:
        """Of a run that has not begun."""
        nothing: list[float | None] = [None] * population
        return cls(0, 0.0, Totals.none(population), nothing, nothing, [0] * population)


def save(
    directory: Path,
    members: list[str],
    driver: Driver,
    axis: SeedAxis,
    run: Snapshot,
    replay: bool = True,
) -> None:
    """Writes a checkpoint, one row for each member.

    Args:
      directory: the run's `checkpoints` folder.
      members: their names.
      driver: between two steps.
      axis: how the learners are laid out.
      run: what the driver does not hold.
      replay: whether to keep the transitions; without them this is the only checkpoint that
        remains, and nothing goes on from it.

    Raises:
      OSError: it could not be written; the checkpoints from before are untouched.
    """
    carry: Carry = driver.learning
    sizes = axis.take(np.asarray(carry.buffer.size))
    environments, facts = driver.snapshot()
    facts = {
        **run._asdict(),
        "totals": {name: sums.tolist() for name, sums in run.totals._asdict().items()},
        "members": members,
        "versions": versions(),
        "random_flags": flags.of_randomness(),
        "replay_sizes": sizes.tolist(),
        "environments": facts,
        "replay": replay,
    }

    def parts() -> Iterator[tuple[str, PyTree]]:
        yield "agent", axis.take(carry.agent)
        if carry.normalizer:
            yield "normalizer", axis.take(carry.normalizer)
        yield "failure", axis.take(carry.failure)
        yield "learning", axis.take(_learning(carry))
        yield "environments", environments
        if not replay:
            return
        yield from rings.parts(carry.buffer.rows, rings.replay_part, members, sizes)
        if carry.frames:
            held = _num_frames(axis.take(np.asarray(carry.frames.written)), carry.frames)
            yield from rings.parts(carry.frames.rows, rings.frames_part, members, held)

    checkpoint.save(directory, driver.step, parts(), facts, checkpoint.KEPT if replay else 1)


def load(
    directory: Path,
    step: int,
    members: list[str],
    driver: Driver,
    carry: Carry,
    axis: SeedAxis,
) -> tuple[Snapshot, int, dict[str, str]]:
    """Reads a checkpoint and brings the driver to where it was taken.

    Args:
      directory: the run's `checkpoints` folder.
      step: which one.
      members: their names.
      driver: not started.
      carry: structs of the learners, one row for each member.
      axis: how they are to be laid out.

    Returns:
      The snapshot, the number of environments that could not be brought back, and the versions
      that it was written under.

    Raises:
      BundleError: it is missing, damaged or of another run.
      Exception: what an environment raises on its way back to where it was.
    """
    read = functools.partial(checkpoint.load, directory, step)
    manifest, where = checkpoint.verify(directory, step), checkpoint.folder(directory, step)
    try:
        _refuse(manifest, where)
        if manifest["members"] != members:
            raise ValueError(f"it is of the members {manifest['members']}")
        environments = manifest["environments"]
        arrays = read("environments", driver.snapshot_structs(environments))
        policy = load_policy(directory, step, carry)
        restored = _read_learners(read, manifest, members, policy, carry, axis)
        run = _read_facts(manifest, len(members))
        written_under = dict(manifest["versions"])
        restarted = driver.restore(step, restored, arrays, environments)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        if is_fault(error):  # nothing is wrong with the checkpoint
            raise
        raise BundleError(f"{where} is not of this run: {error!r}.") from error
    return run, restarted, written_under


def _refuse(manifest: dict[str, Any], where: Path) -> None:
    """Refuses a checkpoint that is sound, and that nothing can go on from here."""
    if refusal := upgrade.refusal_to_resume(manifest["schema"]):
        raise BundleError(f"{where} was {refusal}")
    if flagged := flags.to_set_again(manifest.get("random_flags", {})):
        raise BundleError(
            f"{where} was written under {flagged}, without which a seed has other random numbers: "
            "set that again."
        )
    if not manifest.get("replay", True):
        raise BundleError(
            f"{where} is of a run that was finished without its replay (--no-keep-replay): it "
            "cannot go on. A new run can begin with its agents: "
            f"--init-from {shlex.quote(str(where.parents[1]))}."
        )


def _read_learners(
    read: Callable[..., Any],
    manifest: dict[str, Any],
    members: list[str],
    policy: Policy,
    carry: Carry,
    axis: SeedAxis,
) -> Carry:
    """The learners of a checkpoint, laid out over the devices."""
    sizes = {m: int(n) for m, n in zip(members, manifest["replay_sizes"], strict=True)}
    if min(sizes.values()) < 0:
        raise ValueError("a negative size of replay")
    learning = read("learning", jax.eval_shape(_learning, carry))
    counters = learning.pop("frames")
    learning = axis.place(learning)

    def replay_of(member: str) -> dict[str, np.ndarray]:
        return read(rings.replay_part(member), rings.filled(carry.buffer.rows, sizes[member]))

    buffer = carry.buffer.replace(
        rows=rings.place(carry.buffer.rows, members, replay_of, axis),
        position=learning.pop("position"),
        size=learning.pop("size"),
    )
    return Carry(
        agent=axis.place(policy.agent),
        normalizer=axis.place(policy.normalizer),
        buffer=buffer,
        frames=_load_frames(read, members, carry.frames, counters, axis),
        failure=axis.place(read("failure", carry.failure)),
        **learning,
    )


def _read_facts(manifest: dict[str, Any], num_members: int) -> Snapshot:
    """What a driver does not hold."""
    run = Snapshot(
        logged=int(manifest["logged"]),
        seconds=float(manifest["seconds"]),
        totals=_totals(manifest["totals"], num_members),
        train_returns=list(manifest["train_returns"]),
        eval_returns=list(manifest["eval_returns"]),
        metrics_rows=_metrics_rows(manifest, num_members),
        offline_updates=int(manifest.get("offline_updates", 0)),
    )
    if not len(run.train_returns) == len(run.eval_returns) == num_members:
        raise ValueError("it has returns of other members")
    return run


def _load_frames(
    read: Callable[..., Any], members: list[str], structs: Any, counters: Any, axis: SeedAxis
) -> Any:
    """The frames that transitions show, with these counters; () where there are none."""
    if not counters:
        return counters
    held = dict(zip(members, _num_frames(counters.written, structs), strict=True))

    def frames_of(member: str) -> dict[str, np.ndarray]:
        return read(rings.frames_part(member), rings.filled(structs.rows, held[member]))

    rows = rings.place(structs.rows, members, frames_of, axis)
    return axis.place(counters).replace(rows=rows)


def load_policy(directory: Path, step: int, carry: Carry) -> Policy:
    """Reads agents and the scale of their observations, one row for each member.

    Args:
      directory: the run's `checkpoints` folder.
      step: which one.
      carry: structs of the learners, one row for each member.

    Raises:
      BundleError: it is missing, damaged or of another run.
    """
    read = functools.partial(checkpoint.load, directory, step)
    normalizer = read("normalizer", carry.normalizer) if carry.normalizer else ()
    return Policy(read("agent", carry.agent), normalizer)


def _metrics_rows(manifest: dict[str, Any], population: int) -> list[int]:
    rows = [int(n) for n in manifest["metrics_rows"]]
    if len(rows) != population or min(rows) < 0:
        raise ValueError("numbers of rows of the metrics that cannot be")
    return rows


def _learning(carry: Carry) -> dict[str, Any]:
    """What the learners carry beside agent, failure and the rows of replay and its frames."""
    return {
        "key": carry.key,
        "metrics": carry.metrics,
        "position": carry.buffer.position,
        "size": carry.buffer.size,
        "observation": carry.observation,
        "action": carry.action,
        "frames": carry.frames.replace(rows={}) if carry.frames else (),
        "window": carry.window,
        "return_scale": carry.return_scale,
        "noise": carry.noise,
        "resets": carry.resets,
    }


def _totals(sums: dict[str, list[float]], num_seeds: int) -> Totals:
    arrays = {name: np.array(sums[name], np.float64) for name in Totals._fields}
    return Totals(**{name: array.reshape(num_seeds) for name, array in arrays.items()})


def _num_frames(written: np.ndarray, frames: Frames) -> list[int]:
    """Filled rows of each member's ring of frames."""
    return np.minimum(written, frames.capacity).tolist()
