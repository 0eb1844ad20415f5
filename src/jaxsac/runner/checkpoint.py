"""Checkpoints: tensors in safetensors, everything else in JSON, written all or nothing.

`checkpoints/<step>/` holds one safetensors file for each part of a run's state, and
`manifest.json` with the step, the JSON values and a SHA-256 of every file. A part loads without
the others: `agent` alone is a policy.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsac.types import PyTree

SCHEMA = 1
KEPT = 2
"""Checkpoints that `save` leaves: the new one, and the one before in case it is damaged."""


class CheckpointError(Exception):
    """A checkpoint that is missing, damaged or of another shape than the run's."""


def save(
    directory: Path, step: int, parts: Iterable[tuple[str, PyTree]], facts: dict[str, Any]
) -> Path:
    """Writes `directory/<step>` so that it is either complete or absent.

    Args:
      directory: the run's `checkpoints` folder.
      step: transitions per seed so far.
      parts: names and pytrees of arrays; taken one at a time, so that a generator need hold only
        one of them in memory.
      facts: JSON values to keep in the manifest.

    Returns:
      The checkpoint's folder.

    Raises:
      OSError: it could not be written; the checkpoints from before are untouched.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    target, temporary = directory / str(step), directory / f".{step}.tmp"
    _remove_unfinished(directory)
    temporary.mkdir(parents=True)
    try:
        digests = {}
        for part, tree in parts:
            file = temporary / f"{part}.safetensors"
            tensors = {name: np.ascontiguousarray(leaf) for name, leaf in _named_leaves(tree)}
            save_file(tensors, file)
            _sync(file)
            digests[file.name] = _digest(file)
        manifest = {**facts, "schema": SCHEMA, "step": step, "sha256": digests}
        manifest["checksum"] = _checksum(manifest)
        (temporary / "manifest.json").write_text(json.dumps(manifest, indent=2))
        mode = (temporary / "manifest.json").stat().st_mode
        for name in digests:  # safetensors keeps others from reading
            (temporary / name).chmod(mode)
        _sync(temporary / "manifest.json")
        _sync(temporary)
        shutil.rmtree(target, ignore_errors=True)
        os.rename(temporary, target)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError | SafetensorError):
            raise OSError(
                f"cannot write the checkpoint {target}: {error}. Those from before are untouched: "
                "free disk space, or mend its permissions, and give the same command again."
            ) from error
        raise
    _sync(directory)
    for old in steps(directory)[:-KEPT]:
        shutil.rmtree(directory / str(old))
    return target


def steps(directory: Path) -> list[int]:
    """The steps that have a checkpoint, ascending."""
    return sorted(int(p.name) for p in directory.glob("*") if p.name.isdecimal() and p.is_dir())


def latest(directory: Path) -> int:
    """The highest step with a checkpoint.

    Raises:
      CheckpointError: there is none.
    """
    found = steps(directory)
    if not found:
        raise CheckpointError(f"{directory} holds no checkpoint: the run saved none yet.")
    return found[-1]


def verify(directory: Path, step: int) -> dict[str, Any]:
    """Checks every file of a checkpoint against its manifest, and returns that.

    Raises:
      CheckpointError: a file that is missing, damaged or written by another schema.
    """
    manifest = _manifest(directory / str(step))
    for name in manifest["sha256"]:
        _check(directory / str(step), name, manifest)
    return manifest


def load(directory: Path, step: int, part: str, template: PyTree) -> PyTree:
    """Reads one part of the checkpoint of `step`.

    Args:
      directory: the run's `checkpoints` folder.
      step: which checkpoint.
      part: its name.
      template: pytree of `jax.ShapeDtypeStruct`s that the part must match.

    Raises:
      CheckpointError: a missing or damaged file, or a leaf of another name, shape or dtype.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder, name = directory / str(step), f"{part}.safetensors"
    _check(folder, name, _manifest(folder))
    try:
        tensors = load_file(folder / name)
    except SafetensorError as error:
        raise CheckpointError(f"{folder / name} is damaged: {error}.") from error
    named = _named_leaves(template)
    if set(tensors) != {leaf for leaf, _ in named}:
        difference = sorted(set(tensors) ^ {leaf for leaf, _ in named})
        raise CheckpointError(
            f"{folder / name} does not fit this run; leaves that differ: {difference}."
        )
    for leaf, struct in named:
        if tensors[leaf].shape != struct.shape or tensors[leaf].dtype != struct.dtype:
            raise CheckpointError(
                f"{folder / name}: {leaf} is {tensors[leaf].dtype}{tensors[leaf].shape}, expected "
                f"{struct.dtype}{struct.shape}."
            )
    leaves = [tensors[leaf] for leaf, _ in named]
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        checksum, schema, step = (manifest[name] for name in ("checksum", "schema", "step"))
        names = list(manifest["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"cannot read {folder / 'manifest.json'}: {type(error).__name__}: {error}."
        ) from error
    if schema != SCHEMA or str(step) != folder.name:
        raise CheckpointError(
            f"{folder} is of schema {schema!r} and step {step!r}; expected {SCHEMA} and "
            f"{folder.name}."
        )
    if checksum != _checksum({k: v for k, v in manifest.items() if k != "checksum"}):
        raise CheckpointError(f"{folder / 'manifest.json'} is damaged: its checksum is wrong.")
    if any(Path(name).name != name for name in names):
        raise CheckpointError(f"{folder / 'manifest.json'} names files outside its folder.")
    return manifest


def _check(folder: Path, name: str, manifest: dict[str, Any]) -> None:
    try:
        digest = _digest(folder / name)
    except OSError as error:
        raise CheckpointError(f"cannot read {folder / name}: {error}.") from error
    if digest != manifest["sha256"].get(name):
        raise CheckpointError(f"{folder / name} is damaged: its SHA-256 is not the one saved.")


def _remove_unfinished(directory: Path) -> None:
    """What a killed process left of a checkpoint."""
    for folder in directory.glob(".*.tmp"):
        shutil.rmtree(folder, ignore_errors=True)


def _named_leaves(tree: PyTree) -> list[tuple[str, Any]]:
    return [
        (jax.tree_util.keystr(path, simple=True, separator="/"), leaf)
        for path, leaf in jax.tree.leaves_with_path(tree)
    ]


def _checksum(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
