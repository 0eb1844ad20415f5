"""Where the parameters of a network are brought after each step of its optimizer.

A choice of `Config.projection`, for actor and critics.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxsac.types import Params

ProjectionName = Literal["none", "unit_norm"]


def unit_norm(params: Params) -> Params:
    """Divides the weights of each unit by their norm: w_j ← w_j / ‖w_j‖.

    The scale of weights before a normalization means nothing, but it shrinks the effective learning
    rate as it grows (Lee et al. 2025, arXiv:2502.15280; Palenicek et al. 2025, arXiv:2509.25174).

    Args:
      params: a pytree in which dense layers have a "kernel" (..., inputs, units); all else stays.
    """

    def project(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array:
        if getattr(path[-1], "key", None) != "kernel":
            return leaf
        return leaf / jnp.linalg.norm(leaf, axis=-2, keepdims=True)

    return jax.tree.map_with_path(project, params)


PROJECTIONS: dict[ProjectionName, Callable[[Params], Params]] = {
    "none": lambda params: params,
    "unit_norm": unit_norm,
}
