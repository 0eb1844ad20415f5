"""Bundles: a folder of tensors in safetensors and JSON values beside them, all or nothing.

A bundle holds one safetensors file for each of its parts (random keys as numbers), and
`manifest.json` with the JSON values and a SHA-256 of every file. A part loads without the others.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsac.types import PyTree, is_key

SCHEMA = 2
LONGEST_MANIFEST = 64 * 2**20
"""Bytes; a longer one is not ours."""


class BundleError(Exception):
    """A bundle that is missing, damaged or of another shape than what was asked for."""


def write(target: Path, parts: Iterable[tuple[str, PyTree]], facts: dict[str, Any]) -> None:
    """Writes the folder `target` so that it is either complete or not there.

    Args:
      target: if it exists it is replaced, once all else is on the disk.
      parts: names and pytrees of arrays; taken one at a time, so that a generator need hold only
        one of them in memory.
      facts: JSON values to keep in the manifest.

    Raises:
      OSError: it could not be written; nothing else in the directory has been touched.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    temporary = target.parent / f".{target.name}.tmp"
    _remove_unfinished(target.parent)
    try:
        temporary.mkdir(parents=True)
        digests = {}
        for part, tree in parts:
            file = temporary / f"{part}.safetensors"
            leaves = _named_leaves(_plain(tree))
            save_file({name: np.asarray(leaf, order="C") for name, leaf in leaves}, file)
            _sync(file)
            digests[file.name] = _digest(file)
        manifest = {**facts, "schema": SCHEMA, "name": target.name, "sha256": digests}
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
                f"cannot write {target}: {error}. What was saved before is untouched: free disk "
                "space, or fix its permissions, and give the same command again."
            ) from error
        raise
    _sync(target.parent)


def verify(folder: Path) -> dict[str, Any]:
    """Checks every file of a bundle against its manifest, and returns that.

    Raises:
      BundleError: a file that is missing, damaged or written by another schema.
    """
    manifest = _manifest(folder)
    for name in manifest["sha256"]:
        _check(folder, name, manifest)
    return manifest


def load(folder: Path, part: str, template: PyTree) -> PyTree:
    """Reads one part.

    Args:
      folder: the bundle.
      part: its name.
      template: pytree of `jax.ShapeDtypeStruct`s that the part must match.

    Returns:
      NumPy arrays, and JAX arrays where the template has keys.

    Raises:
      BundleError: a missing or damaged file, or a leaf of another name, shape or dtype.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    name = f"{part}.safetensors"
    _check(folder, name, _manifest(folder))
    try:
        tensors = load_file(folder / name)
    except SafetensorError as error:
        raise BundleError(f"{folder / name} is damaged: {error}.") from error
    named = _named_leaves(_plain(template, functools.partial(jax.eval_shape, jax.random.key_data)))
    if set(tensors) != {leaf for leaf, _ in named}:
        difference = sorted(set(tensors) ^ {leaf for leaf, _ in named})
        raise BundleError(
            f"{folder / name} does not fit this run; leaves that differ: {difference}."
        )
    for leaf, struct in named:
        if tensors[leaf].shape != struct.shape or tensors[leaf].dtype != struct.dtype:
            raise BundleError(
                f"{folder / name}: {leaf} is {tensors[leaf].dtype}{tensors[leaf].shape}, expected "
                f"{struct.dtype}{struct.shape}."
            )
    structs, structure = jax.tree.flatten(template)
    leaves = [
        jax.random.wrap_key_data(jnp.asarray(tensors[leaf])) if is_key(struct) else tensors[leaf]
        for (leaf, _), struct in zip(named, structs, strict=True)
    ]
    return jax.tree.unflatten(structure, leaves)


def _manifest(folder: Path) -> dict[str, Any]:
    file = folder / "manifest.json"
    try:
        _refuse_link(folder)
        manifest = json.loads(read_text(file, LONGEST_MANIFEST))
        checksum, schema, name = (manifest[key] for key in ("checksum", "schema", "name"))
        names = list(manifest["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"cannot read {file}: {type(error).__name__}: {error}.") from error
    if schema != SCHEMA or name != folder.name:
        raise BundleError(
            f"{folder} is of schema {schema!r} and was written as {name!r}; expected {SCHEMA} and "
            f"{folder.name!r}."
        )
    if checksum != _checksum({k: v for k, v in manifest.items() if k != "checksum"}):
        raise BundleError(f"{file} is damaged: its checksum is wrong.")
    if any(Path(name).name != name for name in names):
        raise BundleError(f"{file} names files outside its folder.")
    return manifest


def read_text(file: Path, longest: int) -> str:
    """A text file, unless it is a link or too long to be what it should.

    Raises:
      OSError: it cannot be read, or is a link.
      ValueError: more than `longest` bytes, or not UTF-8.
    """
    _refuse_link(file)
    with file.open("rb") as content:
        data = content.read(longest + 1)
    if len(data) > longest:
        raise ValueError(f"longer than {longest} bytes")
    return data.decode()


def _check(folder: Path, name: str, manifest: dict[str, Any]) -> None:
    try:
        _refuse_link(folder / name)
        digest = _digest(folder / name)
    except OSError as error:
        raise BundleError(f"cannot read {folder / name}: {error}.") from error
    if digest != manifest["sha256"].get(name):
        raise BundleError(f"{folder / name} is damaged: its SHA-256 is not the one saved.")


def _refuse_link(path: Path) -> None:
    """A link could lead anywhere, to a device without an end for one."""
    if path.is_symlink():
        raise OSError(f"{path} is a symbolic link")
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(f"{path} is not a file")


def _remove_unfinished(directory: Path) -> None:
    """What a killed process left of a bundle."""
    for folder in directory.glob(".*.tmp"):
        shutil.rmtree(folder, ignore_errors=True)


def _plain(tree: PyTree, numbers: Callable[[Any], Any] = jax.random.key_data) -> PyTree:
    """The tree with keys as the numbers that they hold."""
    return jax.tree.map(lambda x: numbers(x) if is_key(x) else x, tree)


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
