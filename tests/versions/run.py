"""Tests the oldest and the newest versions that pyproject.toml admits: `make test-versions`.

Each case has a virtual environment of its own under `build/versions`. A Python that the machine
lacks is named and left out.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "versions"
CASES = (
    ("3.11", "oldest"),
    ("3.11", "newest"),
    ("3.12", "newest"),
    ("3.13", "newest"),
    ("3.13", "torch"),  # the newest, beside PyTorch
)
TESTS = ("tests/sac", "tests/data", "tests/training/test_learner.py", "tests/runs/test_run.py")
TOOLS = ("pytest>=8", "pytest-xdist>=3.8", "hypothesis>=6", "mpmath>=1.3")
SHOWN = ("jax", "flax", "optax", "chex", "numpy", "gymnasium")
LOWER_BOUND = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^]]*\])?>=([0-9.]+)")


def main() -> int:
    """Runs the cases that are named, or all; prints a table and returns how many failed."""
    asked = sys.argv[1:]
    rows = []
    for version, kind in CASES:
        if asked and f"{version}-{kind}" not in asked:
            continue
        python = find_python(version)
        if python is None:
            rows.append((version, kind, "", "this Python is not on the machine"))
            continue
        rows.append((version, kind, *run(python, BUILD / f"{version}-{kind}", kind)))
    print("\n| Python | versions | | tests |\n|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    return sum("failed" in outcome for *_, outcome in rows)


def find_python(version: str) -> str | None:
    """An interpreter of a minor version: on the path, or one of pyenv's."""
    if (found := shutil.which(f"python{version}")) and works(found):
        return found
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    return str(installed[-1]) if installed else None


def works(python: str) -> bool:
    """Whether it starts, which a shim of pyenv may not."""
    return subprocess.run([python, "-V"], capture_output=True).returncode == 0


def run(python: str, venv: Path, kind: str) -> tuple[str, str]:
    """The versions of one case, and what came of its tests."""
    subprocess.run([python, "-m", "venv", "--clear", venv], check=True)
    inside = venv / "bin" / "python"
    pip = [inside, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    pins = venv / "oldest.txt"
    pins.write_text("\n".join(lower_bounds()) + "\n" if kind == "oldest" else "")
    beside = ["torch"] if kind == "torch" else []
    subprocess.run(
        [*pip, "--constraint", pins, "--editable", f"{ROOT}[cli,mjx]", *TOOLS, *beside], check=True
    )
    checked = subprocess.run([inside, "-m", "pip", "check"], capture_output=True, text=True)
    tests = subprocess.run(
        [inside, "-m", "pytest", "--numprocesses", "2", "--dist", "loadfile", *TESTS], cwd=ROOT,
        capture_output=True, text=True,
    )  # fmt: skip
    (venv / "tests.log").write_text(tests.stdout + tests.stderr)
    outcome = f"failed, see {venv}/tests.log" if tests.returncode else "pass"
    if checked.returncode:
        outcome += f"; pip check failed: {checked.stdout.strip()}"
    return ", ".join(versions_in(inside)), outcome


def lower_bounds() -> Iterator[str]:
    """The least version of each requirement, as pins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for requirement in [
        *project["dependencies"],
        *extras["envs"],
        *extras["cli"],
        *extras["report"],
    ]:
        if bound := LOWER_BOUND.match(requirement):
            name, version = bound.groups()
            yield f"{name}=={version}"


def versions_in(python: Path) -> list[str]:
    """Name and version of the packages that matter."""
    code = "import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))"
    found = subprocess.run(
        [python, "-c", code, *SHOWN], capture_output=True, text=True, check=True
    ).stdout.split()
    return [f"{name} {version}" for name, version in zip(SHOWN, found, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
