"""The manifest of a run as a file: what it is, beside how far it has come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jaxsac.runs import files, upgrade

NAME = "manifest.json"
LONGEST = 2**20
"""Bytes; a longer one is not ours."""


def read(file: Path) -> dict[str, Any]:
    """What a manifest holds.

    Raises:
      OSError: it cannot be read, or is a link.
      ValueError, RecursionError: it is none.
    """
    content = json.loads(files.read_text(file, LONGEST))
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    if "sha256" in content:  # of a bundle
        raise ValueError("this one is of a checkpoint, or a best policy, of a run")
    return content


def write(file: Path, content: dict[str, Any], new: bool = False) -> None:
    """Writes one, as `files.write` does."""
    files.write(file, f"{json.dumps(content, indent=2)}\n".encode(), new)


def written_format(content: dict[str, Any]) -> int:
    """The format that a manifest is written in.

    Raises:
      ValueError: it is none.
    """
    written = content.get("format", upgrade.OLDEST)
    if isinstance(written, bool) or not isinstance(written, int) or written < upgrade.OLDEST:
        raise ValueError(f"format {written!r}")
    return written


def beside(folder: Path) -> str | None:
    """Where the run lies that a folder without a manifest was given for; None where that is."""
    found = {file.parent: _is_of_run(file) for file in sorted(folder.glob(f"*/{NAME}"))}
    if runs := [path for path, is_run in found.items() if is_run]:
        more = f", … ({len(runs)})" * (len(runs) > 1)
        return f"holds several runs, such as a sweep's: give one of them, {runs[0]}{more}."
    above = folder.parent
    if found and _is_of_run(above / NAME):
        return f"is a folder of the run {above}: give that."
    return None


def _is_of_run(file: Path) -> bool:
    try:
        return bool(read(file))
    except (OSError, ValueError, RecursionError):
        return False
