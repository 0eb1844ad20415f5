"""Releases that runs should not use, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable

from jaxsac.runs.directory import versions

KNOWN_BAD = {
    "0.11.1": "on a CPU an insert into replay inside a loop rewrites the whole buffer "
    "(github.com/jax-ml/jax/issues/40101): use another release",
}
"""By version of jaxlib."""


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
