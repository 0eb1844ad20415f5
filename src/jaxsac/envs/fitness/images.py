"""Which observations seem to be images, and are not in the form that encoders take."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from jaxsac.envs.fitness.precision import Leaf, leaves
from jaxsac.types import Finding

SMALLEST = 32
"""Of the two sides of an image: smaller arrays are as likely something else."""


def check(space: spaces.Space[Any]) -> Finding:
    """Whether what seems to be an image in an observation is taken for one."""
    found = misread(space)
    return Finding(
        "observation space", "advice" if found else "good", " ".join(found) or str(space)
    )


def misread(space: spaces.Space[Any]) -> list[str]:
    """Sentences on parts of an observation that may be images, and are not taken for what they are.

    Networks would learn on their numbers all the same: on those of millions of pixels side by side,
    or on an image whose rows are its colours.
    """
    return [text for leaf in leaves(space) if (text := _misread(leaf)) is not None]


def _misread(leaf: Leaf) -> str | None:
    shape, dtype = leaf.space.shape, leaf.space.dtype
    if not _has_range_of_image(leaf.space) or (remedies := _remedies_of_shape(shape)) is None:
        return None
    if dtype != np.uint8:
        remedies.append("give bytes, 0 to 255")
    if not remedies:
        return None
    return (
        f"{leaf.name} is {dtype} of {shape}, and images are uint8 of (height, width, colours): if "
        f"it is one, {', and '.join(remedies)}."
    )


def _has_range_of_image(space: Any) -> bool:
    """Whether numbers are bytes, or have the bounds of bytes or of shares."""
    if not isinstance(space, spaces.Box):
        return False
    highest = (1, 255) if space.dtype.kind == "f" else (255,)
    return space.dtype == np.uint8 or (
        (space.low == 0).all() and any((space.high == high).all() for high in highest)
    )


def _remedies_of_shape(shape: tuple[int, ...]) -> list[str] | None:
    """What to do with an image of a shape; None where it is hardly one."""
    match tuple(side >= SMALLEST for side in shape):
        case (True, True):
            return [
                "add a last axis: `gymnasium.wrappers.GrayscaleObservation(env, keep_dim=True)`"
            ]
        case (True, True, False):
            return []
        case (False, True, True):
            return [
                "let its colours come last, `image.transpose(1, 2, 0)`, or if these are frames, "
                f"{_frames(shape[0])}"
            ]
        case (False, True, True, False) | (False, False, True, True):
            return [_frames(shape[0])]
    return None


def _frames(count: int) -> str:
    return f"leave gymnasium.wrappers.FrameStackObservation out and give --frame-stack {count}"
