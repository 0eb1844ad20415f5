"""What a run was measured on and with."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKAGES = (
    "jaxsac", "sbx-rl", "stable-baselines3", "cleanrl", "rejax", "gymnax", "brax",
    "jax", "jaxlib", "flax", "optax", "tfp-nightly", "tensorflow-probability", "torch",
    "numpy", "gymnasium", "mujoco",
)  # fmt: skip
"""Whose versions matter to a speed."""

LIST_VERSIONS = """
import importlib.metadata, json
packages = importlib.metadata.distributions()
print(json.dumps({p.name.lower().replace("_", "-"): p.version for p in packages}))
"""

SIMD = ("avx2", "avx512f", "amx_tile", "asimd", "sve")
"""CPU flags worth telling."""


def describe(pythons: Mapping[str, Path], **settings: Any) -> dict[str, Any]:
    """The machine, the load on it before the run, every peer's versions and the run's settings."""
    return {
        "date": datetime.date.today().isoformat(),
        **_cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
        **settings,
        "versions": {peer: _versions(python) for peer, python in pythons.items()},
    }


def _cpu() -> dict[str, Any]:
    facts: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    return {
        "cpu": facts.get("model name", platform.machine()),
        "simd": [flag for flag in SIMD if flag in flags],
    }


def _versions(python: Path) -> dict[str, str]:
    listed = subprocess.run([python, "-c", LIST_VERSIONS], capture_output=True, check=True).stdout
    installed = json.loads(listed)
    return {name: installed[name] for name in PACKAGES if name in installed}
