"""What the measurements were made on and with."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from typing import Any

PACKAGES = (
    "jax", "jaxlib", "jax-cuda13-plugin", "jax-cuda12-plugin", "flax", "optax", "numpy",
    "gymnasium", "mujoco", "mujoco-mjx", "warp-lang", "rejax", "brax", "sbx-rl", "torch",
)  # fmt: skip


def describe() -> dict[str, Any]:
    """Date, card, driver, cores and versions."""
    return {
        "date": datetime.date.today().isoformat(),
        "card": _card(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
    }


def slug(facts: dict[str, Any]) -> str:
    """The card as part of a folder's name."""
    return facts["card"].partition(",")[0].lower().replace("nvidia ", "").replace(" ", "-")


def _card() -> str:
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "cpu"
    return listed.splitlines()[0]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
