"""Bundles: a folder of tensors in safetensors and JSON values beside them, all or nothing.

A bundle holds one safetensors file for each of its parts (random keys as numbers), and
`manifest.json` with the JSON values and a SHA-256 of every file. A part loads without the others.
Tensors are found by name: those of older versions where `upgrade` says that they lay.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxsac.runs import files, upgrade
from jaxsac.types import PyTree, is_key

LONGEST_MANIFEST = 64 * 2**20
"""Bytes; a longer one is not ours."""
ATTEMPTS = 20
"""To read a bundle that is being replaced."""
T = TypeVar("T")


class BundleError(Exception):
    """A bundle that is missing, damaged or of another shape than what was asked for."""


def write(target: Path, parts: Iterable[tuple[str, PyTree]], facts: dict[str, Any]) -> None:
    """Writes the folder `target` so that it is either complete or not there.

    Args:
      target: if it exists it is replaced, once all else is on the disk; see `recover`.
      parts: names and pytrees of arrays; taken one at a time, so that a generator need hold only
        one of them in memory.
      facts: JSON values to keep in the manifest.

    Raises:
      OSError: it could not be written; nothing else in the directory has been touched.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    temporary = _unfinished(target)
    recover(target.parent)
    _remove_unfinished(target.parent)
    try:
        target.parent.mkdir(exist_ok=True)  # but not its run, which may have been removed
        temporary.mkdir()
        digests = {}
        for part, tree in parts:
            file = temporary / f"{part}.safetensors"
            leaves = _named_leaves(_plain(tree))
            save_file({name: np.asarray(leaf, order="C") for name, leaf in leaves}, file)
            files.sync(file)
            digests[file.name] = _digest(file)
        manifest = {**facts, "schema": upgrade.FORMAT, "name": target.name, "sha256": digests}
        manifest["checksum"] = _checksum(manifest)
        (temporary / "manifest.json").write_text(json.dumps(manifest, indent=2))
        mode = (temporary / "manifest.json").stat().st_mode
        for name in digests:  # safetensors keeps others from reading
            (temporary / name).chmod(mode)
        files.sync(temporary / "manifest.json")
        files.sync(temporary)
        if target.exists():
            os.rename(target, _aside(target))
        os.rename(temporary, target)
    except BaseException as error:
        recover(target.parent)
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError | SafetensorError):
            raise OSError(
                f"cannot write {target}: {error}. What was saved before is untouched: free disk "
                "space, or fix its permissions, and give the same command again."
            ) from error
        raise
    files.sync(target.parent)
    shutil.rmtree(_aside(target), ignore_errors=True)


def remove(target: Path) -> None:
    """Removes a bundle, all at once for whoever looks.

    What cannot be removed, as others have it open, costs nothing: `write` tries again.
    """
    with contextlib.suppress(OSError):
        os.rename(target, _unfinished(target))
    shutil.rmtree(_unfinished(target), ignore_errors=True)


def recover(directory: Path) -> None:
    """Puts back what a killed process was about to replace, and had moved aside.

    For the process that writes there alone: others do not know whether it is about to go on.
    """
    for old in directory.glob(".*.old"):
        target = directory / old.name[1:].removesuffix(".old")
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(old, target)


def _unfinished(target: Path) -> Path:
    """Where a bundle lies before it is whole, and when it is to go."""
    return target.parent / f".{target.name}.tmp"


def _aside(target: Path) -> Path:
    """Where a bundle lies while another takes its place."""
    return target.parent / f".{target.name}.old"


def verify(folder: Path) -> dict[str, Any]:
    """Checks every file of a bundle against its manifest, and returns that.

    Raises:
      BundleError: a file that is missing, damaged or written by another schema.
    """
    manifest = _manifest(folder)
    for name in manifest["sha256"]:
        _check(folder, name, manifest)
    return manifest


def load(
    folder: Path, part: str, template: PyTree, row: int | None = None, partial: bool = False
) -> PyTree:
    """Reads one part.

    Args:
      folder: the bundle.
      part: its name.
      template: pytree of `jax.ShapeDtypeStruct`s that the part must match.
      row: which entry of the leading axis alone to read; by default all.
      partial: whether the file may hold other leaves than the template, which are not read.

    Returns:
      NumPy arrays, and JAX arrays where the template has keys.

    Raises:
      BundleError: a missing or damaged file, or a leaf of another name, shape or dtype.
    """
    named = _named_leaves(_plain(template, functools.partial(jax.eval_shape, jax.random.key_data)))
    with _tensors(folder, part) as (file, written):
        names = {leaf: upgrade.tensor_name(leaf, written) for leaf, _ in named}
        there = set(file.keys())
        before = {leaf: upgrade.value_before(leaf) for leaf in names if names[leaf] not in there}
        lacking = {names[leaf] for leaf, value in before.items() if value is None}
        if lacking or (not there <= set(names.values()) and not partial):
            difference = sorted(lacking | (there - set(names.values())))
            raise BundleError(
                f"{folder / part}.safetensors does not fit this run; leaves that differ: "
                f"{difference}."
            )
        found = [
            np.full(struct.shape if row is None else struct.shape[1:], before[leaf], struct.dtype)
            if leaf in before
            else _read(folder / part, file, names[leaf], struct, row)
            for leaf, struct in named
        ]
    structs, structure = jax.tree.flatten(template)
    leaves = [
        jax.random.wrap_key_data(jnp.asarray(tensor)) if is_key(struct) else tensor
        for tensor, struct in zip(found, structs, strict=True)
    ]
    return jax.tree.unflatten(structure, leaves)


def whole(folder: Path, read: Callable[[], T]) -> T:
    """What is read of a folder, of one bundle: again where another has taken its place meanwhile.

    Raises:
      BundleError: as `read` raises it, of a bundle that stays.
    """
    for _ in range(ATTEMPTS):
        before = _identity(folder)
        try:
            found = read()
        except BundleError:
            replaced = _identity(folder) != before or _aside(folder).exists()
            if not replaced:
                raise
            time.sleep(0.01)
        else:
            if _identity(folder) == before:
                return found
    return read()


def _identity(folder: Path) -> tuple[int, int] | None:
    """What tells a bundle from the next of its name; None where there is none."""
    try:
        there = folder.stat()
    except FileNotFoundError:
        return None
    return there.st_ino, there.st_mtime_ns


@contextlib.contextmanager
def _tensors(folder: Path, part: str) -> Iterator[tuple[Any, int]]:
    """The open file of a part, which is as it was written, and its format."""
    from safetensors import SafetensorError, safe_open

    manifest, name = _manifest(folder), f"{part}.safetensors"
    _check(folder, name, manifest)
    try:
        with safe_open(folder / name, framework="np") as file:
            yield file, manifest["schema"]
    except SafetensorError as error:
        raise BundleError(f"{folder / name} is damaged: {error}.") from error


def _read(
    path: Path, file: Any, name: str, struct: jax.ShapeDtypeStruct, row: int | None
) -> np.ndarray:
    """One tensor, which must have the shape and dtype of `struct`, or a row of it."""
    shape = tuple(file.get_slice(name).get_shape())
    tensor = file.get_tensor(name) if row is None else file.get_slice(name)[row : row + 1][0]
    if shape != struct.shape or tensor.dtype != struct.dtype:
        error = (
            f"{path}.safetensors: {name} is {tensor.dtype}{shape}, expected "
            f"{struct.dtype}{struct.shape}."
        )
        if {str(tensor.dtype), str(struct.dtype)} == {"float32", "float64"}:
            how = "with" if tensor.dtype == np.float64 else "without"
            error += f" It was saved {how} JAX_ENABLE_X64=1: read it {how} that flag."
        elif name == "key":
            error += " It was saved under another JAX_DEFAULT_PRNG_IMPL: set that one again."
        raise BundleError(error)
    return tensor


def _manifest(folder: Path) -> dict[str, Any]:
    file = folder / "manifest.json"
    try:
        files.refuse_link(folder)
        manifest = json.loads(files.read_text(file, LONGEST_MANIFEST))
        checksum, schema, name = (manifest[key] for key in ("checksum", "schema", "name"))
        names = list(manifest["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"cannot read {file}: {type(error).__name__}: {error}.") from error
    if not upgrade.is_known(schema) or name != folder.name:
        raise BundleError(
            f"{folder} is of schema {schema!r} and was written as {name!r}; expected "
            f"{upgrade.OLDEST} to {upgrade.FORMAT} and {folder.name!r}. A newer version of jaxsac "
            "may have written it."
        )
    if checksum != _checksum({k: v for k, v in manifest.items() if k != "checksum"}):
        raise BundleError(f"{file} is damaged: its checksum is wrong.")
    if any(Path(name).name != name for name in names):
        raise BundleError(f"{file} names files outside its folder.")
    return manifest


def _check(folder: Path, name: str, manifest: dict[str, Any]) -> None:
    try:
        files.refuse_link(folder / name)
        digest = _digest(folder / name)
    except OSError as error:
        raise BundleError(f"cannot read {folder / name}: {error}.") from error
    if digest != manifest["sha256"].get(name):
        raise BundleError(f"{folder / name} is damaged: its SHA-256 is not the one saved.")


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
