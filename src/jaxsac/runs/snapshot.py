"""The complete state of a run, to and from a checkpoint."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsac.envs.checked import is_fault
from jaxsac.runs import checkpoint, upgrade
from jaxsac.runs.bundle import BundleError
from jaxsac.runs.directory import versions
from jaxsac.training import learner
from jaxsac.training.driver import Driver
from jaxsac.training.returns import Totals
from jaxsac.training.seed_axis import SeedAxis
from jaxsac.types import PyTree

_member = jax.jit(lambda rows, index: rows[index])


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
    carry: learner.Carry = driver.learning
    sizes = axis.take(np.asarray(carry.buffer.size))
    environments, facts = driver.snapshot()
    facts = {
        **run._asdict(),
        "totals": {name: sums.tolist() for name, sums in run.totals._asdict().items()},
        "members": members,
        "versions": versions(),
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
        # One seed at a time, its filled rows only: a copy of all replay might not fit.
        # Places left over come last.
        for member, size, rows in zip(members, sizes, _replay(carry.buffer.rows), strict=False):
            yield replay_part(member), {dtype: array[:size] for dtype, array in rows.items()}

    checkpoint.save(directory, driver.step, parts(), facts, checkpoint.KEPT if replay else 1)


def load(
    directory: Path,
    step: int,
    members: list[str],
    driver: Driver,
    carry: learner.Carry,
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
    manifest = checkpoint.verify(directory, step)
    try:
        if refusal := upgrade.refusal_to_resume(manifest["schema"]):
            raise BundleError(f"{checkpoint.folder(directory, step)} was {refusal}")
        if not manifest.get("replay", True):
            raise BundleError(
                f"{checkpoint.folder(directory, step)} is of a run that was finished without its "
                "replay (--no-keep-replay): it cannot go on. A new run can begin with its agents: "
                f"--init-from {directory.parent}."
            )
        if manifest["members"] != members:
            raise ValueError(f"it is of the members {manifest['members']}")
        sizes = {m: int(n) for m, n in zip(members, manifest["replay_sizes"], strict=True)}
        if min(sizes.values()) < 0:
            raise ValueError("a negative size of replay")
        environments = manifest["environments"]
        arrays = read("environments", driver.snapshot_structs(environments))
        learning = axis.place(read("learning", jax.eval_shape(_learning, carry)))

        def replay_of(member: str) -> dict[str, np.ndarray]:
            part = {
                name: jax.ShapeDtypeStruct((sizes[member], rows.shape[-1]), rows.dtype)
                for name, rows in carry.buffer.rows.items()
            }
            return read(replay_part(member), part)

        buffer = carry.buffer.replace(
            rows=buffer_rows(carry.buffer.rows, members, replay_of, axis),
            position=learning["position"],
            size=learning["size"],
        )
        policy = axis.place(load_policy(directory, step, carry))
        restored = learner.Carry(
            agent=policy.agent,
            normalizer=policy.normalizer,
            window=learning["window"],
            return_scale=learning["return_scale"],
            noise=learning["noise"],
            resets=learning["resets"],
            buffer=buffer,
            key=learning["key"],
            metrics=learning["metrics"],
            failure=axis.place(read("failure", carry.failure)),
            observation=learning["observation"],
            action=learning["action"],
        )
        run = Snapshot(
            logged=int(manifest["logged"]),
            seconds=float(manifest["seconds"]),
            totals=_totals(manifest["totals"], len(members)),
            train_returns=list(manifest["train_returns"]),
            eval_returns=list(manifest["eval_returns"]),
            metrics_rows=_metrics_rows(manifest, len(members)),
            offline_updates=int(manifest.get("offline_updates", 0)),
        )
        if not len(run.train_returns) == len(run.eval_returns) == len(members):
            raise ValueError("it has returns of other members")
        written_under = dict(manifest["versions"])
        restarted = driver.restore(step, restored, arrays, environments)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        if is_fault(error):  # nothing is wrong with the checkpoint
            raise
        where = checkpoint.folder(directory, step)
        raise BundleError(f"{where} is not of this run: {error!r}.") from error
    return run, restarted, written_under


def buffer_rows(
    structs: dict[str, jax.Array],
    members: list[str],
    replay_of: Callable[[str], dict[str, np.ndarray]],
    axis: SeedAxis,
) -> dict[str, jax.Array]:
    """The rows of all members' replay on their devices, one member in memory at a time.

    Args:
      structs: by dtype, (S, capacity, width).
      members: their names.
      replay_of: reads the filled rows of a member by dtype.
      axis: how they are laid out.
    """

    def rows_of(dtype: str, struct: jax.Array) -> jax.Array:
        def shard(index: Any) -> np.ndarray:
            mine = axis.pad(np.array(members))[index[0]]
            filled = np.zeros((len(mine), *struct.shape[1:]), struct.dtype)
            for rows, member in zip(filled, mine, strict=True):
                there = replay_of(member)[dtype]
                rows[: len(there)] = there
            return filled

        shape = (axis.num_rows, *struct.shape[1:])
        return jax.make_array_from_callback(shape, axis.sharding, shard)

    return {dtype: rows_of(dtype, struct) for dtype, struct in structs.items()}


def load_policy(directory: Path, step: int, carry: learner.Carry) -> learner.Policy:
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
    return learner.Policy(read("agent", carry.agent), normalizer)


def _metrics_rows(manifest: dict[str, Any], population: int) -> list[int]:
    rows = [int(n) for n in manifest["metrics_rows"]]
    if len(rows) != population or min(rows) < 0:
        raise ValueError("numbers of rows of the metrics that cannot be")
    return rows


def _learning(carry: learner.Carry) -> dict[str, Any]:
    """What the learners carry beside agent, failure and the rows of replay."""
    return {
        "key": carry.key,
        "metrics": carry.metrics,
        "position": carry.buffer.position,
        "size": carry.buffer.size,
        "observation": carry.observation,
        "action": carry.action,
        "window": carry.window,
        "return_scale": carry.return_scale,
        "noise": carry.noise,
        "resets": carry.resets,
    }


def _totals(sums: dict[str, list[float]], num_seeds: int) -> Totals:
    arrays = {name: np.array(sums[name], np.float64) for name in Totals._fields}
    return Totals(**{name: array.reshape(num_seeds) for name, array in arrays.items()})


def _replay(rows: dict[str, jax.Array]) -> Iterator[dict[str, np.ndarray]]:
    """The rows of one seed after the other, from the device that holds them."""
    for shards in zip(*map(_shards, rows.values()), strict=True):
        for index in range(len(shards[0])):
            members = [np.asarray(_member(shard, index)) for shard in shards]
            yield dict(zip(rows, members, strict=True))


def _shards(array: jax.Array) -> list[jax.Array]:
    """The parts of an array that lie on one device each, in the order of the seeds."""
    shards = sorted(array.addressable_shards, key=lambda shard: shard.index[0].start or 0)
    return [shard.data for shard in shards]


def replay_part(member: str) -> str:
    """What the part of a checkpoint with the replay of a member is called."""
    return f"replay-{member}"
