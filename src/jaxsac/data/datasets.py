"""Transitions from files: plain `.npz`, and data sets of Farama's Minari.

A `.npz` holds an array (N, ...) for each name below, rows in the order in which they came. Of an
observation of several arrays each is there by its path: `observation/position`,
`next_observation/position`; parts of a tuple by their numbers.

| array | what it is |
|---|---|
| `observation`, `next_observation` | before and after the step, not after a reset |
| `action` | in the environment's own units |
| `reward` | |
| `terminated`, or `discount` | whether the process ended; or 0 where it did, and 1 elsewhere |
| `truncated` | may be left out: whether a time limit cut the episode |

Plurals are taken too, and `terminations`, `terminals`, `truncations` and `timeouts`. A row that
does not begin where the one before it has ended begins another episode in any case.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsac import packages
from jaxsac.types import PyTree, Transition

MINARI = "minari:"
"""Begins the name of a data set of Minari: an id of its local root, or a folder."""
AS = {
    "observations": "observation",
    "actions": "action",
    "rewards": "reward",
    "discounts": "discount",
    "next_observations": "next_observation",
    "terminations": "terminated",
    "terminals": "terminated",
    "truncations": "truncated",
    "timeouts": "truncated",
}
"""Other names of arrays, with the one that stands for them here."""
Arrays = dict[str, np.ndarray]


class Dataset(NamedTuple):
    """Steps of an environment, NumPy arrays (N, ...), in the order in which they came."""

    steps: Transition
    """Observations as they are learned on, actions in the environment's own units."""
    over: np.ndarray
    """bool (N,): the next step is of another episode."""


def read(source: str, observation: PyTree, dtype: np.dtype | type = np.float32) -> Dataset:
    """Reads a data set for an environment.

    Args:
      source: path of a `.npz`, or `minari:` and the id or the folder of a data set.
      observation: structs of one observation of the environment.
      dtype: of rewards and discounts.

    Returns:
      Its steps. `discount` is 0 where the process terminated; a time limit keeps 1.

    Raises:
      ValueError: there is none, or what it holds does not fit the observations; names both.
      ModuleNotFoundError: a data set of Minari, which is not installed.
    """
    is_minari = source.startswith(MINARI)
    arrays = _read_minari(source.removeprefix(MINARI)) if is_minari else _read_npz(Path(source))
    try:
        return _assemble(arrays, observation, np.dtype(dtype))
    except ValueError as error:
        raise ValueError(f"prior data {source}: {error}") from error


def names_of(name: str, tree: PyTree) -> list[str]:
    """What the arrays of a pytree are called, in the order of its leaves."""
    return ["/".join(filter(None, (name, _path(path)))) for path, _ in _leaves(tree)]


def _read_npz(path: Path) -> Arrays:
    path = path.expanduser()
    if not path.is_file():
        raise ValueError(
            f"prior data {path}: there is no such file. Give a .npz, or minari:ID for a data set "
            "of Minari."
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("a single array")
            found = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"prior data {path}: not a .npz of plain arrays ({error}); numpy.savez writes one."
        ) from error
    for name in found:
        if twice := [other for other in found if other != name and _as(other) == _as(name)]:
            raise ValueError(
                f"prior data {path} has both {name} and {twice[0]}, which are one: leave one out."
            )
    return {_as(name): array for name, array in found.items()}


def _read_minari(name: str) -> Arrays:
    minari: Any = packages.load("a data set of Minari", "minari", "minari", "h5py")[0]
    folder = Path(name).expanduser()
    data = folder / "data" if (folder / "data").is_dir() else folder
    try:
        found = minari.MinariDataset(data) if data.is_dir() else minari.load_dataset(name)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"prior data {MINARI}{name}: {error} `minari list local` shows the data sets that are "
            "there, and `minari download` brings others."
        ) from error
    parts: dict[str, list[np.ndarray]] = {}
    for episode in found.iterate_episodes():
        for part, array in _of_episode(episode):
            parts.setdefault(part, []).append(array)
    return {part: np.concatenate(arrays) for part, arrays in parts.items()}


def _of_episode(episode: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of one episode: it holds an observation more than steps."""
    count = len(episode.rewards)
    for path, x in _leaves(episode.observations):
        where = "/".join(filter(None, ("observation", _path(path))))
        yield where, np.asarray(x)[:count]
        yield f"next_{where}", np.asarray(x)[1 : count + 1]
    for path, x in _leaves(episode.actions):
        yield "/".join(filter(None, ("action", _path(path)))), np.asarray(x)[:count]
    truncated = np.array(episode.truncations, bool)
    truncated[-1:] = True  # the next episode begins, whatever ended this one
    yield "reward", np.asarray(episode.rewards)
    yield "terminated", np.asarray(episode.terminations)
    yield "truncated", truncated


def _assemble(arrays: Arrays, observation: PyTree, dtype: np.dtype) -> Dataset:
    _check_names(arrays, observation)
    lengths = {name: array.shape[:1] for name, array in arrays.items() if _is_needed(name)}
    if len(set(lengths.values())) > 1 or not all(lengths.values()) or (0,) in lengths.values():
        listed = ", ".join(f"{name}: {list(arrays[name].shape)}" for name in lengths)
        raise ValueError(f"arrays need one number of rows, at least 1, all the same ({listed}).")
    before, after = (
        jax.tree.unflatten(
            jax.tree.structure(observation),
            [
                _cast(where, arrays[where], struct)
                for where, struct in zip(
                    names_of(name, observation), jax.tree.leaves(observation), strict=True
                )
            ],
        )
        for name in ("observation", "next_observation")
    )
    reward, discount = _numbers("reward", arrays["reward"], dtype), _discount(arrays, dtype)
    action = _finite("action", arrays["action"])
    steps = Transition(before, action, reward, discount, after)
    return Dataset(steps, _ends(steps) | _flags(arrays, "truncated"))


def _check_names(arrays: Arrays, observation: PyTree) -> None:
    needed = {"action", "reward"}
    for name in ("observation", "next_observation"):
        needed |= set(names_of(name, observation))
    missing = sorted(needed - set(arrays))
    if not {"discount", "terminated"} & set(arrays):
        missing.append("terminated (or discount)")
    more = {name for name in arrays if name.partition("/")[0].endswith("observation")} - needed
    if missing or more:
        said = [f"lacks {', '.join(missing)}"] if missing else []
        said += [f"has {', '.join(sorted(more))}, which the environment has not"] if more else []
        raise ValueError(
            f"it {' and '.join(said)}; its arrays are {', '.join(sorted(arrays))}, and its "
            f"environment's observations {observation}."
        )


def _is_needed(name: str) -> bool:
    first = name.partition("/")[0]
    return first in {*AS.values()}


def _cast(name: str, array: np.ndarray, struct: jax.ShapeDtypeStruct) -> np.ndarray:
    """An array of observations in the dtype in which those of the environment are learned on."""
    if array.shape[1:] != struct.shape:
        raise ValueError(
            f"{name} has rows of shape {list(array.shape[1:])}, the environment's observations "
            f"{list(struct.shape)}."
        )
    whole = array.dtype.kind in "iu" and struct.dtype.kind in "iu"
    if not whole and not np.can_cast(array.dtype, struct.dtype, "same_kind"):
        raise ValueError(
            f"{name} is of dtype {array.dtype}, the environment's observations of {struct.dtype}."
        )
    if whole and array.size:
        low, high, allowed = array.min(), array.max(), np.iinfo(struct.dtype)
        if low < allowed.min or high > allowed.max:
            raise ValueError(
                f"{name} has numbers from {low} to {high}, which the environment's {struct.dtype} "
                "cannot hold."
            )
    with np.errstate(over="ignore"):  # an infinity is found and named
        return _finite(name, array.astype(struct.dtype))


def _numbers(name: str, array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if array.ndim != 1 or array.dtype.kind not in "fiub":
        raise ValueError(f"{name} is {array.dtype}{list(array.shape)}, expected numbers [N].")
    return _finite(name, array.astype(dtype))


def _finite(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} is of dtype {array.dtype}, expected numbers.")
    wrong = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if wrong.any():
        raise ValueError(
            f"{name} has a NaN or an infinity in {wrong.sum()} of {len(array)} rows, row "
            f"{wrong.argmax()} the first: leave those out."
        )
    return array


def _flags(arrays: Arrays, name: str) -> np.ndarray:
    """bool (N,); False where the array is left out."""
    if name not in arrays:
        return np.zeros(len(arrays["reward"]), bool)
    flags = _numbers(name, arrays[name], np.dtype(float))
    if not np.isin(flags, (0, 1)).all():
        raise ValueError(f"{name} has values other than 0 and 1.")
    return flags.astype(bool)


def _discount(arrays: Arrays, dtype: np.dtype) -> np.ndarray:
    if "discount" not in arrays:
        return 1 - _flags(arrays, "terminated").astype(dtype)
    discount = _numbers("discount", arrays["discount"], dtype)
    if not ((discount >= 0) & (discount <= 1)).all():
        raise ValueError(
            f"discount has values from {discount.min()} to {discount.max()}, expected [0, 1]."
        )
    if "terminated" in arrays and (_flags(arrays, "terminated") != (discount == 0)).any():
        raise ValueError("terminated and discount disagree: discount is 0 where it terminated.")
    return discount


def _ends(steps: Transition) -> np.ndarray:
    """bool (N,): terminations, the last row, and rows that the next one does not go on from."""
    over = steps.discount == 0
    over[-1] = True
    pairs = zip(*map(jax.tree.leaves, (steps.observation, steps.next_observation)), strict=True)
    for before, after in pairs:
        differs = before[1:] != after[:-1]
        over[:-1] |= differs.any(axis=tuple(range(1, differs.ndim)))
    return over


def _as(name: str) -> str:
    first, slash, rest = name.partition("/")
    return AS.get(first, first) + slash + rest


def _leaves(tree: PyTree) -> list[tuple[Any, Any]]:
    return jax.tree.leaves_with_path(tree)


def _path(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
