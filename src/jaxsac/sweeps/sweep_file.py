"""What a sweep is, written where it lies, so that no other one is mixed in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxsac.runs import files
from jaxsac.runs.directory import manifest
from jaxsac.runs.directory.directory import RunDirectoryError
from jaxsac.runs.settings.config import WITHOUT_EFFECT, RunConfig

NAME = "sweep.json"
MAY_DIFFER = (*WITHOUT_EFFECT, "steps", "init_from", "prior_data")
"""Settings of the whole sweep that each of its runs looks at by itself."""


def claim(directory: Path, config: RunConfig, swept: Sequence[str], samples: int | None) -> None:
    """Writes down which sweep lies in a directory, or finds that it is this one.

    Args:
      directory: of the sweep; made if it is not there.
      config: the settings that all points share.
      swept: what is swept over, as it was given.
      samples: points that are drawn; None: the grid.

    Raises:
      RunDirectoryError: a run lies there, or another sweep.
    """
    if (directory / manifest.NAME).exists():
        raise RunDirectoryError(f"{directory} is a run: a sweep needs a directory of its own.")
    file, asked = directory / NAME, _content(config, swept, samples)
    # Until one of its runs has begun, what was refused may be put right in the same place.
    begun = any(directory.glob(f"*/{manifest.NAME}"))
    if not (begun and file.exists()):
        directory.mkdir(parents=True, exist_ok=True)
        files.write(file, f"{json.dumps(asked, indent=2)}\n".encode())
    elif different := _differences(_read(file), asked):
        raise RunDirectoryError(
            f"{directory} holds another sweep ({'; '.join(different)}): give another directory, or "
            "move that one away."
        )


def _content(config: RunConfig, swept: Sequence[str], samples: int | None) -> dict[str, Any]:
    return {"set": sorted(set(swept)), "samples": samples, "settings": config.to_json()}


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(files.read_text(file, manifest.LONGEST))
        return {name: content[name] for name in ("set", "samples", "settings")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunDirectoryError(f"{file} cannot be read: {error}.") from error


def _differences(there: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """What differs; settings that only one of two versions has aside."""
    pairs = {name: (there[name], asked[name]) for name in ("set", "samples")}
    for name in asked["settings"].keys() & there["settings"].keys() - set(MAY_DIFFER):
        pairs[name] = (there["settings"][name], asked["settings"][name])
    return [
        f"{name}: {one!r} there, {other!r} asked for"
        for name, (one, other) in sorted(pairs.items())
        if json.dumps(one) != json.dumps(other)
    ]
