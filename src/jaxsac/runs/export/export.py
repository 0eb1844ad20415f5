"""Writes a saved policy for another runtime, once it is shown to act alike there."""

from __future__ import annotations

import dataclasses
import importlib
import json
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

import jaxsac
from jaxsac.runs import files
from jaxsac.runs.directory import manifest
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.export import parity
from jaxsac.runs.export.parity import Parity
from jaxsac.runs.policies.load import load_policy

FormatName = Literal["numpy", "onnx", "stablehlo"]
OURS = "jaxsac"
"""Is in what was exported, and may be written anew: among its facts, or who made a graph."""
PROGRAM = b'"""The policy of '
"""How a program begins that was exported; others may speak of jaxsac too."""


class Exported(NamedTuple):
    """What was written."""

    paths: list[Path]
    parity: Parity


def export(
    directory: Path | str,
    format: FormatName,
    output: Path | str | None = None,
    seed: int | None = None,
    which: int | Literal["latest", "best"] = "latest",
    point: int | None = None,
) -> Exported:
    """Writes the deterministic policy of one seed as files that act without jaxsac.

    They take observations as the environment returns them (of a run with frame_stack K the stack of
    the latest K, as `load_policy` does) and return actions in its own units: the scale of
    observations, tanh and the bounds are inside. Formats are

    - numpy: a .py file of less than 60 lines that needs NumPy alone, and the .npz of its arrays;
    - onnx: one file for any runtime of ONNX, whose inputs are the arrays of an observation;
    - stablehlo: a program for `jax.export.deserialize`, and a .json file about it; for any actor.

    Args:
      directory: a run directory.
      format: one of these.
      output: file to write, with or without its ending; by default
        `export/seed-NNNN/policy` in the run directory.
      seed: number of the seed; the first by default.
      which: the latest checkpoint, one by its step, or the best policy by the run's evaluations.
      point: of a run that trains several points of a sweep, which one.

    Returns:
      The files, and how far they are from `load_policy` over 10,000 observations.

    Raises:
      ParityError: they do not act alike; nothing is written.
      ValueError: no such format, seed or point; an output of another ending, or a file in its
        place that was not exported; an actor that the format cannot hold.
      RunDirectoryError, BundleError: there is no such run or checkpoint, or it is damaged.
      ModuleNotFoundError: the format needs a package that is not installed.
      OSError: a file cannot be written.
    """
    if format not in get_args(FormatName):
        raise ValueError(f"format must be one of {get_args(FormatName)}, got {format!r}.")
    kind = importlib.import_module(f"jaxsac.runs.export.{format}_format")
    directory = Path(directory).expanduser().absolute()
    config = RunDirectory(directory).config()
    seed = config.seed if seed is None else seed
    policy = load_policy(directory, seed, which, point)
    member = f"seed-{seed:04d}" if point is None else f"point-{point:03d}-seed-{seed:04d}"
    default = directory / "export" / member / "policy"
    paths = _paths(default if output is None else Path(output).expanduser(), kind.ENDINGS)
    facts: dict[str, Any] = {
        "env": config.env, "seed": seed, "step": policy.step, "jaxsac": jaxsac.__version__,
        "parity": None,
    }  # fmt: skip
    if policy.frame_stack > 1:
        facts["frame_stack"] = policy.frame_stack
    found = parity.measure(policy, kind.decode(kind.encode(policy, facts)))
    written = kind.encode(policy, facts | {"parity": dataclasses.asdict(found)})
    for ending, content in written.items():
        paths[ending].parent.mkdir(parents=True, exist_ok=True)
        files.write(paths[ending], content)
    return Exported(list(paths.values()), found)


def _paths(output: Path, endings: tuple[str, ...]) -> dict[str, Path]:
    """The files to write, by their endings.

    Raises:
      ValueError: an output of another ending, or a file of someone else in its place.
    """
    if output.suffix in endings:
        output = output.with_suffix("")
    elif output.suffix in (".py", ".npz", ".onnx", ".stablehlo", ".json"):
        raise ValueError(f"output {output} must end in {' or '.join(endings)}.")
    paths = {ending: output.with_name(output.name + ending) for ending in endings}
    for path in paths.values():
        if path.name == manifest.NAME:
            raise ValueError(
                f"{path} is the name of what says that a folder holds a run: give another one."
            )
        if path.exists() and not _is_ours(path):
            raise ValueError(f"{path} is there and was not exported from a run: give another name.")
    return paths


def _is_ours(path: Path) -> bool:
    """Whether a file was exported from a run."""
    try:
        match path.suffix:
            case ".npz":
                with np.load(path) as arrays:
                    return OURS in json.loads(str(arrays["metadata"]))
            case ".json":
                found = json.loads(path.read_text(encoding="utf-8"))
                return isinstance(found, dict) and OURS in found
            case ".stablehlo":  # it has no head that could say so
                return _is_ours(path.with_suffix(".json"))
            case ".onnx":
                with path.open("rb") as file:
                    return OURS.encode() in file.read(100)
            case _:
                with path.open("rb") as file:
                    return file.read(len(PROGRAM)) == PROGRAM
    except Exception:  # whatever it is, it cannot be read as what it should be
        return False
