"""How a network is asked: as it stands, or in training.

A network's *variables* are its parameters, `"params"`, and other collections, such as
`"batch_stats"`. In training it may change its collections, and draw random numbers.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import jax

from jaxsac.types import PyTree

Variables = Mapping[str, Any]


def init(module: Any, key: jax.Array, *inputs: PyTree) -> Variables:
    """The variables of a network before its first step; the arguments are those of `apply`."""
    return module.init(key, *inputs, **_train(module, False))


def apply(module: Any, variables: Variables, *inputs: PyTree, key: jax.Array | None = None) -> Any:
    """The output of a network, by its collections as they are.

    Args:
      module: a Linen module; one whose `__call__` has an argument `train` is given False.
      variables: its parameters and collections.
      *inputs: what it takes.
      key: for layers that draw random numbers, such as dropout; without it they draw none.
    """
    rngs = {} if key is None else {"dropout": key}
    return module.apply(variables, *inputs, rngs=rngs, **_train(module, False))


def apply_in_training(
    module: Any, variables: Variables, key: jax.Array, *inputs: PyTree
) -> tuple[Any, Variables]:
    """The output of a network in training, and its collections after this batch.

    Args:
      module: as `apply`; an argument `train` of its `__call__` is given True.
      variables: its parameters and collections.
      key: for layers that draw random numbers.
      *inputs: what it takes.
    """
    collections = [name for name in variables if name != "params"]
    return module.apply(
        variables, *inputs, rngs={"dropout": key}, mutable=collections, **_train(module, True)
    )


def _train(module: Any, value: bool) -> dict[str, bool]:
    takes = "train" in inspect.signature(type(module).__call__).parameters
    return {"train": value} if takes else {}
