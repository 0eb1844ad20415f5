"""The complete state of a run, to and from a checkpoint."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsac.envs import host
from jaxsac.envs.trail import Trail
from jaxsac.runner import checkpoint, loop
from jaxsac.runner.checkpoint import CheckpointError
from jaxsac.runner.run_directory import versions
from jaxsac.sac.state import Metrics
from jaxsac.types import PyTree

_member = jax.jit(lambda rows, index: rows[index])


class Snapshot(NamedTuple):
    """A run between two environment steps."""

    step: int
    """Transitions per seed."""
    logged: int
    """The last step that has been evaluated, logged and saved as far as it was due."""
    seconds: float
    """Of training so far."""
    carry: loop.Carry
    action: jax.Array
    """To be taken next, (S, E, A)."""
    envs: host.Snapshot
    discarded: np.ndarray
    """Environment steps left out so far, by seed."""
    episodes: list[host.Episode]
    """Ended since the last row of the metrics."""
    train_returns: list[float | None]
    eval_returns: list[float | None]
    metrics_lengths: list[int]
    """Bytes of each metrics file."""


def save(directory: Path, members: list[int], run: Snapshot) -> None:
    """Writes a checkpoint.

    Raises:
      OSError: it could not be written; the checkpoints from before are untouched.
    """
    sizes = np.asarray(run.carry.buffer.size)
    facts = {
        "members": members,
        "versions": versions(),
        "logged": run.logged,
        "seconds": run.seconds,
        "replay_sizes": sizes.tolist(),
        "trails": [
            {"seed": t.seed, "generator": t.generator, "length": len(t.actions)}
            for t in run.envs.trails
        ],
        "episodes": [list(episode) for episode in run.episodes],
        "train_returns": run.train_returns,
        "eval_returns": run.eval_returns,
        "metrics_lengths": run.metrics_lengths,
    }

    def parts() -> Iterator[tuple[str, PyTree]]:
        yield "agent", jax.device_get(run.carry.agent)
        yield "learning", jax.device_get(_learning(run.carry, run.action))
        width = run.action.shape[-1]
        actions = [row for trail in run.envs.trails for row in trail.actions]
        environments = {
            **run.envs.arrays,
            "actions": np.stack(actions) if actions else np.zeros((0, width), run.action.dtype),
            "discarded": run.discarded,
        }
        yield "environments", environments
        # One seed at a time, its filled rows only: a copy of all replay might not fit.
        for member, size, rows in zip(members, sizes, _replay(run.carry.buffer.rows), strict=True):
            yield _replay_part(member), {dtype: array[:size] for dtype, array in rows.items()}

    checkpoint.save(directory, run.step, parts(), facts)


def load(
    directory: Path,
    step: int,
    members: list[int],
    carry: loop.Carry,
    action: jax.ShapeDtypeStruct,
    environments: dict[str, PyTree],
    sharding: jax.sharding.Sharding,
) -> tuple[Snapshot, dict[str, str]]:
    """Reads a checkpoint.

    Args:
      directory: the run's `checkpoints` folder.
      step: which one.
      members: the seed numbers.
      carry, action: structs of what the loop carries, with a leading seed axis.
      environments: structs of a host snapshot's arrays.
      sharding: of the seed axis.

    Returns:
      The snapshot, and the versions that it was written under.

    Raises:
      CheckpointError: it is missing, damaged or of another run.
    """
    read = functools.partial(checkpoint.load, directory, step)
    place = functools.partial(jax.device_put, device=sharding)
    manifest = checkpoint.verify(directory, step)
    try:
        if manifest["members"] != members:
            raise ValueError(f"it is of the seeds {manifest['members']}")
        trails = [Trail(int(t["seed"]), t["generator"]) for t in manifest["trails"]]
        lengths = [int(t["length"]) for t in manifest["trails"]]
        sizes = {m: int(n) for m, n in zip(members, manifest["replay_sizes"], strict=True)}
        if min(lengths + list(sizes.values())) < 0:
            raise ValueError("a negative length")

        learning = place(read("learning", jax.eval_shape(_learning, carry, action)))
        actions = jax.ShapeDtypeStruct((sum(lengths), action.shape[-1]), action.dtype)
        discarded = jax.ShapeDtypeStruct((len(members),), np.int64)
        arrays = read("environments", {**environments, "actions": actions, "discarded": discarded})
        pieces = np.split(arrays.pop("actions"), np.cumsum(lengths)[:-1])
        trails = [
            Trail(t.seed, t.generator, list(rows)) for t, rows in zip(trails, pieces, strict=True)
        ]

        def rows_of(dtype: str) -> jax.Array:
            struct = carry.buffer.rows[dtype]

            def shard(index: Any) -> np.ndarray:
                mine = members[index[0]]
                filled = np.zeros((len(mine), *struct.shape[1:]), struct.dtype)
                for rows, member in zip(filled, mine, strict=True):
                    part = {
                        name: jax.ShapeDtypeStruct((sizes[member], s.shape[-1]), s.dtype)
                        for name, s in carry.buffer.rows.items()
                    }
                    rows[: sizes[member]] = read(_replay_part(member), part)[dtype]
                return filled

            return jax.make_array_from_callback(struct.shape, sharding, shard)

        buffer = carry.buffer.replace(
            rows={dtype: rows_of(dtype) for dtype in carry.buffer.rows},
            position=learning["position"],
            size=learning["size"],
        )
        snapshot = Snapshot(
            step=step,
            logged=int(manifest["logged"]),
            seconds=float(manifest["seconds"]),
            carry=loop.Carry(
                agent=place(read("agent", carry.agent)),
                buffer=buffer,
                key=jax.random.wrap_key_data(learning["key"]),
                metrics=Metrics(*learning["metrics"]),
            ),
            action=learning["action"],
            discarded=arrays.pop("discarded"),
            envs=host.Snapshot(trails, arrays),
            episodes=[host.Episode(*episode) for episode in manifest["episodes"]],
            train_returns=list(manifest["train_returns"]),
            eval_returns=list(manifest["eval_returns"]),
            metrics_lengths=[int(n) for n in manifest["metrics_lengths"]],
        )
        return snapshot, dict(manifest["versions"])
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise CheckpointError(f"{directory / str(step)} is not of this run: {error!r}.") from error


def _learning(carry: loop.Carry, action: jax.Array) -> dict[str, Any]:
    """What the loop carries beside agent and replay rows, without key types."""
    return {
        "key": jax.random.key_data(carry.key),
        "metrics": tuple(carry.metrics),
        "action": action,
        "position": carry.buffer.position,
        "size": carry.buffer.size,
    }


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


def _replay_part(member: int) -> str:
    return f"replay-{member:04d}"
