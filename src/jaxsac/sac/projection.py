"""Where the parameters of a network are brought after each step of its optimizer.

A choice of `Config.projection`, for actor and critics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import jax
import jax.numpy as jnp

from jaxsac.types import Params

ProjectionName = Literal["none", "unit_norm", "unit_norm_affine"]
Layer = Mapping[str, jax.Array]


def unit_norm(params: Params) -> Params:
    """Divides the weights of each unit by their norm: w_j ← w_j / ‖w_j‖.

    The scale of weights before a normalization means nothing, but it shrinks the effective learning
    rate as it grows (Lee et al. 2025, arXiv:2502.15280; Palenicek et al. 2025, arXiv:2509.25174).

    Args:
      params: a pytree in which dense layers have a "kernel" (..., inputs, units), and
        convolutions one (..., height, width, inputs, units); all else stays, and so does a unit
        whose weights are all zero.
    """
    return _with_layers(params, _unit_norm_layer)


def unit_norm_affine(params: Params) -> Params:
    """`unit_norm`, and the scale γ and shift β of each normalization together to the norm √d.

    (γ, β) ← √d (γ, β) / ‖(γ, β)‖ over its d features, or γ alone where there is no shift
    (FlashSAC, arXiv:2604.04539).

    Args:
      params: as `unit_norm`; normalizations have a "scale" (..., d), and perhaps a "bias".
    """
    return _with_layers(params, _affine_layer)


PROJECTIONS: dict[ProjectionName, Callable[[Params], Params]] = {
    "none": lambda params: params,
    "unit_norm": unit_norm,
    "unit_norm_affine": unit_norm_affine,
}


def _unit_norm_layer(layer: Layer) -> Layer:
    if "kernel" not in layer:
        return layer
    kernel = layer["kernel"]
    of_unit = -2 if kernel.ndim < 4 else (-4, -3, -2)  # an ensemble of dense layers has three axes
    norm = jnp.sqrt(jnp.sum(kernel**2, axis=of_unit, keepdims=True))
    return {**layer, "kernel": kernel / jnp.where(norm > 0, norm, 1)}


def _affine_layer(layer: Layer) -> Layer:
    if "scale" not in layer:
        return _unit_norm_layer(layer)
    names = [name for name in ("scale", "bias") if name in layer]
    square = sum(jnp.sum(layer[name] ** 2, axis=-1, keepdims=True) for name in names)
    factor = jnp.sqrt(layer["scale"].shape[-1] / jnp.where(square > 0, square, 1))
    return {**layer, **{name: factor * layer[name] for name in names}}


def _with_layers(params: Params, change: Callable[[Layer], Layer]) -> Params:
    """Parameters in which the arrays of each layer, by their names, are changed."""
    if not isinstance(params, Mapping):
        return params
    arrays = {name: x for name, x in params.items() if not isinstance(x, Mapping)}
    changed = change(arrays)
    return {name: changed.get(name, _with_layers(x, change)) for name, x in params.items()}
