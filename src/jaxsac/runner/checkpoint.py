"""Checkpoints: tensors in safetensors, everything else in JSON, written all or nothing.

`checkpoints/<step>/` holds `agent.safetensors`, one tensor for each leaf of the agent's state
with its leading seed axis, and `manifest.json` with the step, the members and a SHA-256 of every
file. Other parts of a run's state can lie beside it under names of their own; the agent loads
without them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsac.types import PyTree

SCHEMA = 1


class CheckpointError(Exception):
    """A checkpoint that is missing, damaged or of another shape than the run's."""


def save(directory: Path, step: int, agent: PyTree, facts: dict[str, Any]) -> Path:
    """Writes `directory/<step>` so that it is either complete or absent.

    Args:
      directory: the run's `checkpoints` folder.
      step: transitions per seed so far.
      agent: pytree of arrays with a leading seed axis.
      facts: JSON values to keep in the manifest.

    Returns:
      The checkpoint's folder.
    """
    from safetensors.numpy import save as serialize

    target, temporary = directory / str(step), directory / f".{step}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    content = serialize({name: np.asarray(leaf) for name, leaf in _named_leaves(agent)})
    _write(temporary / "agent.safetensors", content)
    manifest = {
        **facts,
        "schema": SCHEMA,
        "step": step,
        "sha256": {"agent.safetensors": hashlib.sha256(content).hexdigest()},
    }
    _write(temporary / "manifest.json", json.dumps(manifest, indent=2).encode())
    shutil.rmtree(target, ignore_errors=True)
    os.rename(temporary, target)
    _sync(directory)
    return target


def latest(directory: Path) -> int:
    """The highest step with a checkpoint.

    Raises:
      CheckpointError: there is none.
    """
    steps = [int(p.name) for p in directory.glob("*") if p.name.isdigit()]
    if not steps:
        raise CheckpointError(f"{directory} holds no checkpoint: the run saved none yet.")
    return max(steps)


def load(directory: Path, step: int, template: PyTree) -> PyTree:
    """Reads the agent saved at `step`.

    Args:
      directory: the run's `checkpoints` folder.
      step: which checkpoint.
      template: pytree of `jax.ShapeDtypeStruct`s that the agent must match.

    Raises:
      CheckpointError: a missing or damaged file, or a leaf of another name, shape or dtype.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as deserialize

    folder = directory / str(step)
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        content = (folder / "agent.safetensors").read_bytes()
        expected = manifest["sha256"]["agent.safetensors"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"cannot read the checkpoint {folder}: {error}.") from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise CheckpointError(
            f"{folder / 'agent.safetensors'} is damaged: its SHA-256 is not the one saved."
        )
    try:
        tensors = deserialize(content)
    except SafetensorError as error:
        raise CheckpointError(f"{folder / 'agent.safetensors'} is damaged: {error}.") from error
    named = _named_leaves(template)
    if set(tensors) != {name for name, _ in named}:
        difference = sorted(set(tensors) ^ {name for name, _ in named})
        raise CheckpointError(f"{folder} does not fit this run; leaves that differ: {difference}.")
    for name, struct in named:
        if tensors[name].shape != struct.shape or tensors[name].dtype != struct.dtype:
            raise CheckpointError(
                f"{folder}: {name} is {tensors[name].dtype}{tensors[name].shape}, expected "
                f"{struct.dtype}{struct.shape}."
            )
    leaves = [tensors[name] for name, _ in named]
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


def _named_leaves(tree: PyTree) -> list[tuple[str, Any]]:
    return [
        (jax.tree_util.keystr(path, simple=True, separator="/"), leaf)
        for path, leaf in jax.tree.leaves_with_path(tree)
    ]


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
