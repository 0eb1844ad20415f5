"""The replay of a run as a data set, for another run's `prior_data` or for other libraries.

Episodes are found by `data.episodes.follow`: replay tells no more than which transition goes on
where another ended. They are written one after the other, each whole. What had no end in replay,
because a time limit cut it or because it is still going on, is marked as truncated.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import numpy as np

from jaxsac.data import datasets, episodes, packing
from jaxsac.runs import data_files
from jaxsac.runs.checkpoints import checkpoint
from jaxsac.runs.checkpoints.saved_frames import SavedFrames
from jaxsac.runs.checkpoints.saved_replay import SavedReplay
from jaxsac.runs.directory.directory import RunDirectory, RunDirectoryError
from jaxsac.runs.directory.spaces import Spaces
from jaxsac.runs.policies.load import spaces_of
from jaxsac.training.driver import learning_structs
from jaxsac.types import Transition

Format = Literal["npz", "minari"]


class Recorded(NamedTuple):
    """A data set that was written."""

    source: str
    """As `prior_data` takes it."""
    rows: int
    episodes: int


def record(
    directory: Path | str, output: str | None = None, seed: int | None = None, form: Format = "npz"
) -> Recorded:
    """Writes the transitions of a run's latest checkpoint.

    Args:
      directory: a run directory.
      output: file to write, by default replay.npz in the run directory; or the id of a data set
        to make in Minari's local root, by default jaxsac/<environment>/<run directory>-v0.
      seed: whose; by default those of all seeds, one after the other.
      form: "npz", or "minari".

    Raises:
      RunDirectoryError, BundleError: there is no such run or checkpoint, it is damaged or without
        its replay, or its replay is empty or holds returns of several steps.
      ValueError: the run has no such seed, or the output exists or is no .npz.
      ModuleNotFoundError: Minari is not installed.
      OSError: it cannot be written.
    """
    directory = Path(directory).expanduser().absolute()
    if form == "npz" and output is not None and Path(output).suffix != ".npz":
        raise ValueError(f"output is {output}: give a file whose name ends in .npz.")
    run = RunDirectory(directory)
    config, spaces = run.config(), spaces_of(run)
    found = [
        part
        for steps, frames in _members(run, spaces, seed)
        for part in _in_episodes(steps, config.num_envs, frames)
    ]
    if not found:
        raise RunDirectoryError(f"the replay of {directory} is empty: there is nothing to record.")
    if form == "npz":
        source = str(Path(output or directory / "replay.npz").expanduser())
        data_files.write_npz(Path(source), found, spaces)
    else:
        name = output or data_files.minari_id("jaxsac", config.env, directory.resolve().name)
        data_files.write_minari(name, found, spaces, f"Replay of SAC in {config.env}, by jaxsac.")
        source = f"{datasets.MINARI}{name}"
    return Recorded(source, sum(len(part.reward) for part in found), len(found))


def _members(
    run: RunDirectory, spaces: Spaces, seed: int | None
) -> Iterator[tuple[Transition, SavedFrames | None]]:
    """The replay of one member after the other, NumPy arrays (N, ...), the oldest row first.

    With the frames whose numbers it holds, where it does not hold observations.
    """
    for group in run.groups() if seed is None else [run.of_seed(seed)]:
        config = group.config()
        if config.n_step > 1:
            raise RunDirectoryError(
                f"the replay of {group.path} holds returns of n_step {config.n_step} steps, of "
                "which the single steps are not known any more: record a run with n_step 1."
            )
        step = checkpoint.latest(group.checkpoints)
        facts = checkpoint.verify(group.checkpoints, step)
        saved = SavedReplay(group.checkpoints, step, facts, config.replay_capacity)
        carry = learning_structs(config.to_population(), spaces.observation, spaces.action)
        spec, names = carry.buffer.spec, config.member_names
        for name, own in zip(names, config.member_seeds, strict=True):
            if seed not in (None, own):
                continue
            steps = packing.unpack(spec, saved.rows(name, packing.widths(spec)), np)
            if not carry.frames:
                yield steps, None
                continue
            frames = SavedFrames(group.checkpoints, step, names, name, carry.frames)
            yield jax.tree.map(lambda x, n=frames.whole: x[len(x) - n :], steps), frames


def _in_episodes(steps: Transition, num_envs: int, frames: SavedFrames | None) -> list[Transition]:
    """The steps of each episode, in order, with observations as the environment returned them."""
    found = [
        jax.tree.map(lambda x, rows=rows: x[rows], steps)
        for rows in episodes.follow(steps, num_envs)
    ]
    return [frames.latest(part) for part in found] if frames else found
