"""How far jaxsac's presets are from what the libraries computed, and from the formulas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import case
import family_case
import family_ours
import jax
import numpy as np
import ours
from formulas import FORMULAS

TOLERANCE = 1e-5
PACKAGES = ("sb3", "sbx", "brax", "rejax")
FACTORS = {"brax": 0.5, "cleanrl": 2.0, "jaxrl": 2.0, "spinningup": 2.0}
"""Of the critic loss to ½ Σ_i E[(Q_i - y)²]: Adam divides it out."""
UPDATED = ("sb3", "sbx")
"""Those whose update has jaxsac's order, so that one update leaves the same parameters."""

PARAMETERS = ("actor", "critics", "targets", "log_alpha")


class Row(NamedTuple):
    """One comparison."""

    peer: str
    setting: str
    quantity: str
    deviation: float
    """Largest difference, over the largest number of the peer's or 1, whichever is larger."""


def rows() -> Iterator[Row]:
    """Every comparison with a package and a formula."""
    for peer in PACKAGES:
        yield from with_package(peer)
    for peer in FORMULAS:
        yield from with_formula(peer)
    for algorithm in family_case.ALGORITHMS:
        yield from with_algorithm(algorithm)


def with_algorithm(algorithm: str) -> Iterator[Row]:
    """jaxsac's preset of an algorithm against the stored numbers of SBX's implementation."""
    stored = case.read(f"sbx_{algorithm}")
    for setting, dtype in (("as shipped", "float32"), ("double precision", "float64")):
        with jax.enable_x64(dtype == "float64"):
            the = family_case.make(algorithm, dtype, warm=dtype == "float64")
            mine = family_ours.measure(the)
        for name, theirs in stored[setting].items():
            if theirs != []:
                yield Row(algorithm, setting, name, deviation(mine[name], theirs))
    with jax.enable_x64(True):
        mine = family_ours.updated(family_case.make(algorithm, "float64"))
    for name, theirs in stored["updated"].items():
        yield Row(algorithm, "double precision", name, deviation(mine[name], theirs))


def with_package(peer: str) -> Iterator[Row]:
    """jaxsac's preset against the stored numbers of a package."""
    stored = case.read(peer)
    for setting, dtype in (("as shipped", "float32"), ("double precision", "float64")):
        with jax.enable_x64(dtype == "float64"):
            the = case.make(dtype, wide=dtype == "float64")
            mine = ours.measure(peer, the)
            for name in (*case.LOSSES, *case.GRADIENTS):
                factor = FACTORS.get(peer, 1.0) if name.startswith("critic") else 1.0
                yield Row(peer, setting, name, deviation(mine[name], stored[setting][name], factor))
    if peer in UPDATED:
        with jax.enable_x64(True):
            mine = ours.updated(peer, case.make("float64"))
        for name in PARAMETERS:
            found = deviation(mine[name], stored["updated"][name])
            yield Row(peer, "double precision", name, found)


def with_formula(peer: str) -> Iterator[Row]:
    """jaxsac's preset in float64 against a formula, and its gradients against differences."""
    with jax.enable_x64(True):
        the = case.make("float64")
        mine = ours.measure(peer, the)
    for part, loss in FORMULAS[peer](the)._asdict().items():
        if loss is None:
            continue
        factor = FACTORS[peer] if part == "critic" else 1.0
        yield Row(peer, "formula", f"{part}_loss", deviation(mine[f"{part}_loss"], loss, factor))
        direction, slope = difference(peer, part, the)
        along = np.dot(mine[f"{part}_gradient"], direction)
        yield Row(peer, "formula", f"{part}_gradient", deviation(along, slope, factor))


def difference(peer: str, part: str, the: case.Case) -> tuple[list[float], float]:
    """A direction in the parameters that a loss trains, and its slope there, from differences."""
    rng, step = np.random.RandomState(1), 1e-6
    trained = {"critic": the.critics, "actor": [the.actor], "alpha": [[the.log_alpha]]}[part]
    direction = [[rng.standard_normal(array.shape) for array in network] for network in trained]

    def loss(size: float) -> float:
        moved = [
            [array + size * d for array, d in zip(network, along, strict=True)]
            for network, along in zip(trained, direction, strict=True)
        ]
        replaced = {
            "critic": {"critics": moved}, "actor": {"actor": moved[0]},
            "alpha": {"log_alpha": moved[0][0]},
        }[part]  # fmt: skip
        return getattr(FORMULAS[peer](the._replace(**replaced)), part)

    return case.flat(direction), (loss(step) - loss(-step)) / (2 * step)


def deviation(mine: Any, theirs: Any, factor: float = 1.0) -> float:
    """The largest difference of the peer's numbers from `factor` times mine."""
    mine, theirs = factor * np.asarray(mine), np.asarray(theirs)
    assert mine.shape == theirs.shape
    return float(np.max(np.abs(mine - theirs)) / max(1.0, np.max(np.abs(theirs))))
