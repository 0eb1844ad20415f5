"""What the policies of a run see and do, as its manifest holds it: no environment is needed."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsac.envs.action_map import ActionMap
from jaxsac.types import PyTree


class Spaces(NamedTuple):
    """Observations as they are stored and learned on, and actions in two units."""

    observation: PyTree
    """Structs of one observation: nested dicts and tuples."""
    action: jax.ShapeDtypeStruct
    """Struct of one action (A,) in [-1, 1], in the agent's precision."""
    action_map: ActionMap
    """To the environment's own units."""

    def to_json(self) -> dict[str, Any] | None:
        """JSON values; None for observations that are neither dicts, tuples nor arrays."""
        low, high, shape, dtype = self.action_map
        try:
            observation = _to_json(self.observation)
        except TypeError:
            return None
        return {
            "observation": observation,
            "action": {
                "low": low.tolist(),
                "high": high.tolist(),
                "shape": list(shape),
                "dtype": np.dtype(dtype).name,
                "precision": np.dtype(self.action.dtype).name,
            },
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Spaces:
        """The inverse of `to_json`.

        Raises:
          ValueError, KeyError, TypeError, AttributeError: values of another kind.
        """
        action = values["action"]
        low, high = (np.array(action[name], np.float64) for name in ("low", "high"))
        shape = tuple(map(int, action["shape"]))
        if not low.shape == high.shape == (np.prod(shape, dtype=int),):
            raise ValueError("bounds of another size than the action")
        if not (np.isfinite([low, high]).all() and (low < high).all()):
            raise ValueError("bounds of an action that leave no finite range")
        struct = jax.ShapeDtypeStruct(low.shape, _dtype(action["precision"]))
        action_map = ActionMap(low, high, shape, _dtype(action["dtype"]))
        return cls(_from_json(values["observation"]), struct, action_map)


def _to_json(tree: PyTree) -> dict[str, Any]:
    if type(tree) is dict:
        if not all(isinstance(name, str) for name in tree):
            raise TypeError("a name that JSON cannot hold")
        return {"dict": {name: _to_json(part) for name, part in tree.items()}}
    if type(tree) is tuple:
        return {"tuple": [_to_json(part) for part in tree]}
    if isinstance(tree, jax.ShapeDtypeStruct):
        return {"shape": list(tree.shape), "dtype": np.dtype(tree.dtype).name}
    raise TypeError(f"{type(tree)} is neither a dict, a tuple nor an array")


def _from_json(values: dict[str, Any]) -> PyTree:
    if "dict" in values:
        return {name: _from_json(part) for name, part in values["dict"].items()}
    if "tuple" in values:
        return tuple(_from_json(part) for part in values["tuple"])
    return jax.ShapeDtypeStruct(tuple(map(int, values["shape"])), _dtype(values["dtype"]))


def _dtype(name: Any) -> np.dtype:
    """A dtype by its name; None, for one, would be a float to NumPy."""
    if not isinstance(name, str) or np.dtype(name).hasobject:
        raise ValueError(f"no dtype: {name!r}")
    return np.dtype(name)
