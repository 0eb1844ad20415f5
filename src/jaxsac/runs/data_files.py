"""Episodes written as data sets that `data.datasets` reads: a plain `.npz`, or one of Minari.

Actions are written in the environment's own units, in double precision. Read back they are those
of replay bit for bit where the bounds lie around 0, and but for ones below 1e-8 elsewhere.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsac import packages
from jaxsac.data import datasets
from jaxsac.runs import files
from jaxsac.runs.directory.spaces import Spaces
from jaxsac.runs.settings.settings import file_name
from jaxsac.types import PyTree, Transition


def write_npz(target: Path, episodes: list[Transition], spaces: Spaces) -> None:
    """Writes a file, all of it or nothing.

    Args:
      target: where.
      episodes: NumPy arrays (N, ...), actions in [-1, 1].
      spaces: of their environment.

    Raises:
      ValueError: it exists.
      OSError: it cannot be written.
    """
    if target.exists():
        raise ValueError(f"{target} exists: move it away, or give another --output.")
    steps = jax.tree.map(lambda *x: np.concatenate(x), *episodes)
    terminated, truncated = map(np.concatenate, zip(*map(_ends, episodes), strict=True))
    arrays = {
        "action": _in_units(steps.action, spaces),
        "reward": steps.reward,
        "terminated": terminated,
        "truncated": truncated,
    }
    for name in ("observation", "next_observation"):
        tree = getattr(steps, name)
        arrays |= dict(zip(datasets.names_of(name, tree), jax.tree.leaves(tree), strict=True))
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
        files.sync(temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_minari(name: str, episodes: list[Transition], spaces: Spaces, description: str) -> None:
    """Makes a data set in the local root of Minari.

    Args:
      name: its id.
      episodes: as for `write_npz`.
      spaces: of their environment.
      description: for who reads it.

    Raises:
      ModuleNotFoundError: Minari is not installed.
      ValueError: there is one of this id, or it is none.
    """
    minari, buffers, gymnasium_spaces, _ = packages.load(
        "a data set of Minari",
        "minari",
        "minari",
        "minari.data_collector.episode_buffer",
        "gymnasium.spaces",
        "h5py",
    )
    low, high, shape, _ = spaces.action_map
    with warnings.catch_warnings():
        # That there is no author, permalink and the like.
        warnings.simplefilter("ignore", UserWarning)
        minari.create_dataset_from_buffers(
            name,
            [
                buffers.EpisodeBuffer(id=number, **_arrays_of(steps, spaces))
                for number, steps in enumerate(episodes)
            ],
            action_space=gymnasium_spaces.Box(
                low.reshape(shape), high.reshape(shape), shape, float
            ),
            observation_space=_space(gymnasium_spaces, spaces.observation),
            algorithm_name="SAC",
            description=description,
            jpeg_encoding=False,  # which would lose digits
        )


def minari_id(*parts: str) -> str:
    """An id of the parts and of version 0, with no character that Minari refuses."""

    def plain(part: str) -> str:
        return "".join(c if c.isalnum() or c in "_-" else "_" for c in file_name(part))

    return f"{'/'.join(map(plain, parts))}-v0"


def _arrays_of(steps: Transition, spaces: Spaces) -> dict[str, Any]:
    """By Minari's names; what a step leads to is what the next one observes."""
    terminated, truncated = _ends(steps)
    return {
        "observations": jax.tree.map(
            lambda x, y: np.concatenate([x, y[-1:]]), steps.observation, steps.next_observation
        ),
        "actions": _in_units(steps.action, spaces),
        "rewards": steps.reward,
        "terminations": terminated,
        "truncations": truncated,
    }


def _ends(steps: Transition) -> tuple[np.ndarray, np.ndarray]:
    """Where an episode terminated, and where it has another end; bool (N,) each."""
    terminated = steps.discount == 0
    truncated = np.zeros_like(terminated)
    truncated[-1] = not terminated[-1]
    return terminated, truncated


def _in_units(action: np.ndarray, spaces: Spaces) -> np.ndarray:
    """In the environment's own units; rounded to its dtype they could not be mapped back."""
    return spaces.action_map._replace(dtype=np.dtype(np.float64))(action)


def _space(made: Any, tree: PyTree) -> Any:
    """A space of observations as they are stored."""
    if isinstance(tree, dict):
        return made.Dict({name: _space(made, part) for name, part in tree.items()})
    if isinstance(tree, tuple):
        return made.Tuple([_space(made, part) for part in tree])
    if tree.dtype.kind == "f":
        return made.Box(-np.inf, np.inf, tree.shape, tree.dtype)
    limits = np.iinfo(np.int8 if tree.dtype.kind == "b" else tree.dtype)
    return made.Box(limits.min, limits.max, tree.shape, limits.dtype)
