"""Releases of the packages that a result depends on, and those that runs should not use."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
from collections.abc import Callable

VERSIONED = ("jaxsac", "jax", "jaxlib", "flax", "optax", "numpy", "gymnasium", "mujoco", "envpool")
KNOWN_BAD = {
    "0.11.1": "on a CPU an insert into replay inside a loop rewrites the whole buffer "
    "(github.com/jax-ml/jax/issues/40101): use another release",
}
"""By version of jaxlib."""


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    found = {name: _installed(name) for name in VERSIONED}
    return {"python": platform.python_version()} | {n: v for n, v in found.items() if v}


def known_bad() -> str | None:
    """What is wrong with the release of jaxlib that is installed; None if nothing is known."""
    installed = versions().get("jaxlib", "")
    known = KNOWN_BAD.get(installed)
    return known and f"jaxlib {installed}: {known}"


def warn(message: Callable[[str], None]) -> None:
    """Says so where a release is known to be bad.

    Args:
      message: of an observer.
    """
    if bad := known_bad():
        message(f"{bad}.")


@functools.cache
def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
