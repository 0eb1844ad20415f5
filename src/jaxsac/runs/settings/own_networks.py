"""Networks of a user's own in a run: by name and settings, as its manifest holds them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from flax import linen as nn

from jaxsac import named


def make(name: str, kwargs: Mapping[str, Any], what: str) -> nn.Module:
    """The network of a name.

    Args:
      name: `module:Class` of a Linen module.
      kwargs: its fields.
      what: actor or critic.

    Raises:
      ValueError, ModuleNotFoundError: there is no such class, or it does not take the fields.
    """
    kwargs = {field: _hashable(value) for field, value in kwargs.items()}
    try:
        network = named.find(name, what)(**kwargs)
    except TypeError as error:
        raise ValueError(f"{what} {name!r} does not take {kwargs}: {error}.") from error
    if not isinstance(network, nn.Module):
        raise ValueError(f"{what} {name!r} makes {network!r}, expected a module of flax.linen.")
    return network


def describe(network: Any, what: str) -> tuple[str, dict[str, Any], nn.Module]:
    """The inverse of `make`, for a Linen module or a class of them.

    Returns:
      Name, fields that differ from their defaults, and the module.

    Raises:
      ValueError: it is neither, or a field has a value that a manifest cannot hold.
    """
    if isinstance(network, type) and issubclass(network, nn.Module):
        network = network()
    if not isinstance(network, nn.Module):
        raise ValueError(f"{what} must be a module of flax.linen or its class, got {network!r}.")
    kwargs = {}
    for field in dataclasses.fields(network):
        value = getattr(network, field.name)
        if field.name in ("parent", "name") or value == field.default:
            continue
        try:
            kwargs[field.name] = json.loads(json.dumps(value))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{what}: a manifest cannot hold its field {field.name}, {value!r}; give numbers, "
                "texts and tuples of them, or a class of its own for this value."
            ) from error
    return named.name_of(type(network), what), kwargs, network


def _hashable(value: Any) -> Any:
    """With tuples for lists: fields of a Linen module are hashed."""
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value
