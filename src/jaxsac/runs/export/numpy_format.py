"""NumPy alone: arrays in an .npz file, and `numpy_policy` as the .py file that acts by them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxsac.runs.export import computation, numpy_policy
from jaxsac.runs.export.computation import Layer
from jaxsac.runs.policies.load import Policy
from jaxsac.types import PyTree

ENDINGS = (".py", ".npz")
SOURCE = Path(numpy_policy.__file__)


def encode(policy: Policy, facts: dict[str, Any]) -> dict[str, bytes]:
    """The files, by their endings.

    Args:
      policy: with the default actor.
      facts: JSON values that are kept in the arrays' file, and shown at the head of the other one.

    Raises:
      ValueError: as `computation.of_policy`.
    """
    found = computation.of_policy(policy)
    arrays: dict[str, Any] = {"low": found.action_map.low, "high": found.action_map.high}
    content = io.BytesIO()
    metadata = {
        **facts,
        "inputs": [_input(number, each, arrays) for number, each in enumerate(found.inputs)],
        "layers": _layers(found.layers, arrays),
        "precision": found.dtype.name,
        "shape": list(found.action_map.shape),
        "dtype": np.dtype(found.action_map.dtype).name,
    }
    np.savez(content, metadata=np.array(json.dumps(metadata)), **arrays)
    return {".py": _program(facts).encode(), ".npz": content.getvalue()}


def decode(files: dict[str, bytes]) -> Callable[[PyTree], np.ndarray]:
    """What acts by the files, of which the program is the one that is imported here."""
    return numpy_policy.Policy(io.BytesIO(files[".npz"]))  # pyright: ignore[reportArgumentType]


def _input(number: int, found: computation.Input, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    scale = []
    if found.mean is not None and found.scale is not None:
        scale = [f"{number}.mean", f"{number}.scale"]
        arrays |= zip(scale, (found.mean, found.scale), strict=True)
    return {
        "path": list(found.path),
        "shape": list(found.shape),
        "dtype": found.dtype.name,
        "divisor": found.divisor,
        "scale": scale,
    }


def _layers(layers: tuple[Layer, ...], arrays: dict[str, np.ndarray]) -> list[list[Any]]:
    """Layers as JSON values: their names, and those of their arrays, which join the others."""
    found = []
    for layer in layers:
        names = [f"layer.{len(arrays) + number}" for number in range(len(layer.arrays))]
        arrays |= zip(names, layer.arrays, strict=True)
        found.append([layer.name, *names, *_layers(layer.inside, arrays)])
    return found


def _program(facts: dict[str, Any]) -> str:
    """The source of `numpy_policy` with these facts at its head."""
    _, _, code = SOURCE.read_text().partition('"""\n\n')
    which = f"{facts['env']}, seed {facts['seed']}, step {facts['step']:,}"
    head = f"The policy of {which}: action = Policy()(observation), with NumPy alone.\n"
    if size := facts.get("frame_stack"):
        head += (
            f"\nIt acts on the latest {size} observations, joined along the last axis of each "
            "array, the oldest\nfirst; the first of an episode is repeated.\n"
        )
    if (parity := facts["parity"]) is not None:
        difference, count = parity["largest_difference"], parity["observations"]
        head += (
            f"\nLargest difference from jaxsac's over {count:,} observations: {difference:.1e} of "
            "half an action's range.\n"
        )
        if parity["rounding"]:
            head += (
                f"Counted apart: {parity['rounding']} actions that single precision leaves open, "
                f"with differences of up to {parity['largest_rounding']:.1e}.\n"
            )
    return f'"""{head}"""\n\n{code}'
