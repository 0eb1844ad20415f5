"""An exported policy as a folder for the Hugging Face hub: a model card lies beside its files."""

from __future__ import annotations

import keyword
import math
import shutil
from pathlib import Path
from typing import Literal, NamedTuple

from jaxsac import packages
from jaxsac.reports import card_text, numbers, population
from jaxsac.reports.card_text import Facts, OwnReturn
from jaxsac.reports.numbers import Result
from jaxsac.runs import files
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.export import numpy_format
from jaxsac.runs.export.export import Exported, FormatName, export
from jaxsac.runs.metrics import learning_curve, metrics
from jaxsac.runs.policies.load import load_policy
from jaxsac.runs.policies.play import Member

CARD, CURVE = "README.md", "learning_curve.png"
VIDEO = "replay"
"""The hub shows a file of this name beside the card of a model for reinforcement learning."""
ENDINGS = (".mp4", ".gif")


class WithCard(NamedTuple):
    """What was written."""

    exported: Exported
    card: Path
    video: Path | None
    """The video that was copied; None where there is none."""


def export_with_card(
    directory: Path | str,
    format: FormatName = "numpy",
    output: Path | str | None = None,
    seed: int | None = None,
    which: int | Literal["latest", "best"] = "latest",
    point: int | None = None,
    video: Path | str | None = None,
) -> WithCard:
    """`runs.export.export.export`, and beside its files a card, the learning curve and a video.

    Args:
      directory: a run directory.
      format: as for `export`, and so are output, seed, which and point.
      output: the card goes into the same folder.
      seed: the first by default.
      which: the latest checkpoint, one by its step, or the best policy.
      point: of a run that trains several points of a sweep, which one.
      video: an .mp4 or .gif to copy; by default the newest of this seed in `play/` and `videos/` of
        the run, if there is one.

    Returns:
      The files.

    Raises:
      ValueError: as `export`; a README.md, curve or video of someone else in its place; a program
        of a name that Python cannot import; no such video, or another ending.
      RunDirectoryError, BundleError, ModuleNotFoundError, OSError: as `export`.
    """
    packages.load("a model card", "report", "matplotlib", "scipy", "yaml")
    directory = Path(directory).expanduser().absolute()
    seed = RunDirectory(directory).config().seed if seed is None else seed
    if output is None:
        member = f"seed-{seed:04d}" if point is None else f"point-{point:03d}-seed-{seed:04d}"
        output = directory / "export" / member / "policy"
    output = Path(output).expanduser()
    folder = output.parent
    found = _video(directory, Member(seed, point).name, video)
    _refuse_others(folder, found)
    if format == "numpy":
        _refuse_name(output)
    exported = export(directory, format, output, seed, which, point)
    facts = _facts(directory, exported, format, seed, which, point)
    shown = [] if found is None else [f"{VIDEO}{found.suffix}"]
    if found is not None and not _is_there(folder / shown[0], found):
        shutil.copyfile(found, folder / shown[0])
    if (drawn := learning_curve.figure(RunDirectory(directory), point)) is not None:
        drawn.savefig(folder / CURVE, dpi=150)
        shown.append(CURVE)
    files.write(folder / CARD, card_text.markdown(facts, shown).encode())
    return WithCard(exported, folder / CARD, found)


def _refuse_others(folder: Path, video: Path | None) -> None:
    """What lies beside a card of its own is its own, and so is the video that shall lie there."""
    card = folder / CARD
    if not card.exists():
        beside = [folder / name for name in (CURVE, *(VIDEO + ending for ending in ENDINGS))]
        foreign = [file for file in beside if file.exists() and not _is_there(file, video)]
    else:
        own = card_text.LIBRARY in card.read_text(encoding="utf-8")[:400]
        foreign = [] if own else [card]
    if foreign:
        raise ValueError(
            f"{foreign[0]} is there and belongs to no model card of jaxsac: give an --output in "
            "another folder."
        )


def _refuse_name(output: Path) -> None:
    """The card's example imports the program by its name."""
    name = output.stem if output.suffix in numpy_format.ENDINGS else output.name
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(
            f"output {output}: Python cannot import a program called {name!r}, and the card says "
            "how to: give a name of letters, digits and underscores, such as policy."
        )


def _is_there(copy: Path, video: Path | None) -> bool:
    """Whether a video is its own copy."""
    return video is not None and copy.exists() and copy.samefile(video)


def _video(directory: Path, member: str, given: Path | str | None) -> Path | None:
    """The video of a member that was given, or the newest that there is.

    Raises:
      ValueError: it does not exist, or is none.
    """
    if given is None:
        there = [
            file
            for folder in ("play", "videos")
            for file in (directory / folder).glob(f"*-{member}-*")
            if file.suffix in ENDINGS and not file.name.startswith(".")
        ]
        return max(there, key=lambda file: file.stat().st_mtime, default=None)
    video = Path(given).expanduser()
    if video.suffix not in ENDINGS:
        raise ValueError(f"video {video} must end in {' or '.join(ENDINGS)}.")
    if not video.is_file():
        raise ValueError(f"there is no video {video}.")
    return video


def _facts(
    directory: Path,
    exported: Exported,
    format: FormatName,
    seed: int,
    which: int | Literal["latest", "best"],
    point: int | None,
) -> Facts:
    run = RunDirectory(directory)
    policy = load_policy(directory, seed, which, point)
    group = run.of_seed(seed)
    config = group.config()
    member = (point or 0) * config.seeds + seed - config.seed
    settings = config.to_json() | config.points[point or 0]
    return Facts(
        env=config.env,
        seed=seed,
        step=policy.step,
        best=which == "best",
        settings=settings,
        versions=group.package_versions(),
        policy=policy,
        format=format,
        files=[path.name for path in exported.paths],
        parity=exported.parity,
        own=_own_return(group, config.member_names[member], policy.step, config.eval_episodes),
        seeds=_result(directory, config.points[point or 0]),
    )


def _own_return(run: RunDirectory, member: str, step: int, episodes: int) -> OwnReturn | None:
    """Of the evaluation at the step at which the policy was saved, if there was one."""
    file = metrics.path(run.metrics, member)
    for row in metrics.read(file) if file.exists() else []:
        mean, deviation = row["eval_return"], row["eval_return_std"]
        if row["step"] == step and mean is not None and deviation is not None:
            return OwnReturn(mean, deviation, episodes) if math.isfinite(mean) else None
    return None


def _result(directory: Path, point: dict[str, float]) -> Result | None:
    """What a report says of the seeds of a point; None where no return is known yet."""
    for each in population.read(directory):
        if point.items() <= each.settings.items() and each.series:
            return numbers.task([each]).results[0]
    return None
