"""A virtual environment for each peer, apart from the project's own and from one another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from paths import PEERS, VENVS, without_paths


class InstallError(RuntimeError):
    """A peer cannot be installed; the message is pip's own."""


def python_of(peer: str) -> Path:
    """The interpreter to run a peer with, its requirements installed.

    jaxsac runs in the environment that runs this. Every other peer has a venv in `.bench/`, made
    from `peers/<peer>.txt` and, for a package whose own requirements are out of date,
    `peers/<peer>.no-deps.txt`; a change of these makes it anew.

    Raises:
      InstallError: pip has failed.
    """
    if peer == "jaxsac":
        return Path(sys.executable)
    requirements = PEERS / f"{peer}.txt"
    alone = PEERS / f"{peer}.no-deps.txt"
    wanted = "".join(file.read_text() for file in (requirements, alone) if file.exists())
    venv = VENVS / peer
    python, installed = venv / "bin" / "python", venv / "installed.txt"
    if not installed.exists() or installed.read_text() != wanted:
        _run(sys.executable, "-m", "venv", "--clear", venv)
        install = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        _run(*install, "--requirement", requirements)
        if alone.exists():
            _run(*install, "--no-deps", "--ignore-requires-python", "--requirement", alone)
        installed.write_text(wanted)
    return python


def _run(*command: str | Path) -> None:
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        lines = finished.stderr.splitlines() or ["no message"]
        errors = [line for line in lines if line.startswith("ERROR")]
        raise InstallError(without_paths((errors or lines)[-1]))
