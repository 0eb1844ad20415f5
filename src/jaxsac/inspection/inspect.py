"""`inspect(run, …)`: what goes on inside a run, computed from what it saved."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from jaxsac import packages
from jaxsac.envs.checked import close_and_tell, is_fault
from jaxsac.inspection import (
    curves,
    episodes,
    features,
    gradients,
    member,
    replay,
    saturation,
    values,
)
from jaxsac.inspection.episodes import Environments, Episode
from jaxsac.inspection.member import NO_CRITICS, Member
from jaxsac.inspection.section import Check, Section
from jaxsac.runs import files
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.settings import labels
from jaxsac.runs.settings.config import RunConfig
from jaxsac.runs.settings.values import whole

TITLES = {
    "entropy": "Entropy and temperature",
    "values": "Q against returns",
    "saturation": "Saturated actions",
    "gradient_terms": "Terms of the actor's gradient",
    "gradient_norms": "Gradients over training",
    "features": "Features of the networks",
    "replay": "Replay",
}
"""The subjects in their order, by their name in `inspect.json`."""


class MemberInspection(NamedTuple):
    """Of one member."""

    label: str
    step: int
    """Transitions of training after which its policy was saved."""
    sections: dict[str, Section]
    """By subject, in the order of `TITLES`."""
    point: dict[str, float]
    """Its values of what is swept over."""

    @property
    def name(self) -> str:
        """What it is called where there is little room."""
        return self.label if self.label.startswith("point") else f"seed {self.label}"

    @property
    def heading(self) -> str:
        """The same, with the settings of its point."""
        return f"{self.name} ({labels.settings(self.point)})" if self.point else self.name

    @property
    def bad(self) -> list[tuple[str, Check]]:
        """What looks bad, with its subject."""
        return [(key, each) for key, s in self.sections.items() for each in s.checks if each.bad]


class Inspection(NamedTuple):
    """Of a run."""

    run: Path
    """Whole, as its name is what the page calls it."""
    env: str
    which: int | str
    directory: Path
    """Where the page is."""
    members: list[MemberInspection]


def inspect(
    run: os.PathLike[str] | str,
    seeds: Sequence[int] | int | None = None,
    which: int | Literal["latest", "best"] = "latest",
    output: Path | str | None = None,
    episodes: int = 3,
) -> Inspection:
    """Says what goes on inside a run, from its checkpoint and its metrics; training pays nothing.

    Example:
      found = jaxsac.inspect("runs/mine", seeds=0)
      for subject, check in found.members[0].bad:
        print(subject, check.name, check.value)

    Args:
      run: a run directory, or what `train` returned.
      seeds: which of its seeds; all by default.
      which: the latest checkpoint, one by its step, or the best policies, which are kept without
        their critics. Of the latter two the metrics are read up to their steps.
      output: directory to write inspect.html, inspect.json and the figures to; `inspect/` within
        the run by default.
      episodes: of the sampled policy of each seed, which its critics are compared with; 0: none.

    Returns:
      All numbers; `directory` says where the files are.

    Raises:
      RunDirectoryError, BundleError: there is no such run or checkpoint, or it is damaged.
      ValueError: the run has no such seed, or a value that cannot be used.
      ModuleNotFoundError: a package is not installed; names the command that installs it.
    """
    packages.load("an inspection", "cli", "matplotlib", "safetensors")
    from jaxsac.inspection.write import write

    path = Path(run).expanduser().absolute()  # an environment may change the working folder
    if whole("episodes", episodes) < 0:
        raise ValueError(f"episodes must not be negative, got {episodes}.")
    output = path / "inspect" if output is None else Path(output).expanduser().absolute()
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output} is a file: give a directory to write the inspection to.")
    files.check_name(path.resolve().name)
    directory = RunDirectory(path)
    config = directory.config()
    chosen = _chosen(directory, seeds)
    members: list[MemberInspection] = []
    for group, indices in chosen:
        members += _group(group, indices, which, episodes)
    inspection = Inspection(path.resolve(), config.env, which, output, members)
    write(inspection)
    return inspection


def _chosen(
    run: RunDirectory, seeds: Sequence[int] | int | None
) -> list[tuple[RunDirectory, list[int]]]:
    """The groups of a run with the indices of the members that are asked for.

    Raises:
      ValueError: the run has no such seed, or none is named.
    """
    if isinstance(seeds, int | np.integer):
        seeds = [seeds]
    if seeds is not None and not len(seeds):
        raise ValueError(f"seeds is {seeds}: name one at least, or leave it out for all of them.")
    for seed in () if seeds is None else seeds:
        run.of_seed(seed)
    found = []
    for group in run.groups():
        numbers = group.config().member_seeds
        found.append((group, [i for i, n in enumerate(numbers) if seeds is None or n in seeds]))
    return [(group, indices) for group, indices in found if indices]


def _group(
    run: RunDirectory, indices: list[int], which: int | str, count: int
) -> Iterator[MemberInspection]:
    envs: Environments | None = None
    without = NO_CRITICS if which == "best" else "" if count else "no episodes were asked for."
    try:
        for one in member.read(run, which, indices):
            if envs is None and not without:  # after a checkpoint has been found
                envs, without = _environments(one.config, count)
            # Of another checkpoint than the latest all that came later is left out.
            columns = curves.read(run, one.name, None if which == "latest" else one.step)
            found = _member(columns, one, envs, count, without)
            del one  # its replay, before the next is read
            yield found
    finally:
        if envs is not None:
            close_and_tell(run.config().env, envs)


def _environments(config: RunConfig, count: int) -> tuple[Environments | None, str]:
    """Environments to play in; or None, and why."""
    try:
        return episodes.make(config, count), ""
    except (ValueError, ModuleNotFoundError) as error:
        return None, f"the environment cannot be made here: {error}"


def _member(
    columns: dict[str, np.ndarray],
    one: Member,
    envs: Environments | None,
    count: int,
    without: str,
) -> MemberInspection:
    played: list[Episode] = []
    if envs is not None:
        try:
            played = episodes.play(one, envs, count)
        except ValueError as error:
            if is_fault(error):  # its traceback is for whoever wrote the environment
                raise
            without = str(error)
    (size,) = one.agent.action_spec.tree.shape
    alpha_lr = (one.config.hyperparameter_values | one.point)["alpha_lr"]
    target = np.asarray(one.agent.hyperparameters.target_entropy).item() if one.whole else None
    sections = {
        "entropy": curves.entropy(columns, size, alpha_lr, target),
        "values": Section.without(without) if without else values.inspect(one, played, count),
        "saturation": saturation.inspect(one, played),
        "gradient_terms": gradients.inspect(one),
        "gradient_norms": curves.norms(columns),
        "features": features.inspect(one),
        "replay": replay.inspect(one),
    }
    return MemberInspection(one.label, one.step, sections, one.point)
