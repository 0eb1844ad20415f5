"""ONNX, written with the `onnx` package: one graph from observations to actions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxsac import packages
from jaxsac.data import normalize
from jaxsac.runs.export import computation
from jaxsac.runs.export.computation import Computation, Input, Layer
from jaxsac.runs.policies.load import Policy
from jaxsac.types import PyTree

ENDINGS = (".onnx",)
OPSET, IR_VERSION = 18, 9
"""As old as the operations allow, so that older runtimes take it too."""
GELU = (2 / np.pi) ** 0.5, 0.044715


def encode(policy: Policy, facts: dict[str, Any]) -> dict[str, bytes]:
    """The file, by its ending.

    Its inputs are `observation`, or `observation.NAME` for each array of nested dicts and tuples,
    each (batch, ...); its output is `action`, (batch, ...).

    Args:
      policy: with the default actor, in single precision.
      facts: JSON values that are kept in the model's metadata.

    Raises:
      ValueError: as `computation.of_policy`, or another precision.
      ModuleNotFoundError: onnx or onnxruntime is not installed.
    """
    onnx, _ = _packages()
    found = computation.of_policy(policy)
    if found.dtype != np.float32:
        raise ValueError(
            f"the agent of this run is of {found.dtype}, which ONNX Runtime does not have in all "
            "operations: export it with --format numpy."
        )
    graph = _Graph(onnx)
    x = graph.add("Tanh", graph.layers(found.layers, graph.features(found.inputs)))
    graph.act(x, found)
    inputs = [graph.value(_name(each.path), each.dtype, each.shape) for each in found.inputs]
    action = graph.value("action", found.action_map.dtype, found.action_map.shape)
    model = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "policy", inputs, [action], graph.arrays),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="jaxsac",
    )
    onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in facts.items()})
    onnx.checker.check_model(model, full_check=True)
    return {".onnx": model.SerializeToString()}


def decode(files: dict[str, bytes]) -> Callable[[PyTree], np.ndarray]:
    """What acts by the file in ONNX Runtime, on the CPU; observations have one leading axis."""
    _, runtime = _packages()
    session = runtime.InferenceSession(files[".onnx"], providers=["CPUExecutionProvider"])

    def act(observation: PyTree) -> np.ndarray:
        arrays = {
            _name(computation.keys_of(path)): np.asarray(leaf)
            for path, leaf in jax.tree.leaves_with_path(observation)
        }
        return session.run(["action"], arrays)[0]

    return act


def _packages() -> list[Any]:
    return packages.load("the format onnx", "onnx", "onnx", "onnxruntime")


def _name(path: tuple[str | int, ...]) -> str:
    """Of an input."""
    return ".".join(("observation", *map(str, path)))


class _Graph:
    """Nodes, named by their number, and the arrays that they take."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.arrays: list[Any] = []

    def value(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> Any:
        """An input or output of the whole graph."""
        return self._onnx.helper.make_tensor_value_info(name, self._type(dtype), ["batch", *shape])

    def add(self, kind: str, *inputs: str | np.ndarray | float, **attributes: Any) -> str:
        """A node whose inputs are names, arrays or numbers of single precision.

        Returns:
          The name of its output.
        """
        names = [each if isinstance(each, str) else self._array(each) for each in inputs]
        output = attributes.pop("output", f"node.{len(self.nodes)}")
        self.nodes.append(self._onnx.helper.make_node(kind, names, [output], **attributes))
        return output

    def features(self, inputs: tuple[Input, ...]) -> str:
        """All inputs, on their scale, flattened and joined: (batch, features)."""
        return self.add("Concat", *map(self._features, inputs), axis=1)

    def layers(self, layers: tuple[Layer, ...], x: str) -> str:
        """One layer after the other."""
        for layer in layers:
            x = self._layer(layer, x)
        return x

    def act(self, x: str, found: Computation) -> None:
        """From [-1, 1] to the environment's units, as `ActionMap` maps: in double precision."""
        low, high, shape, dtype = found.action_map
        x = self._cast(x, np.dtype(np.float64))
        one = np.float64(1)
        action = self.add("Add", self.add("Mul", x, (high - low) / 2), (low + high) / 2)
        action = self.add("Min", self.add("Max", action, low), high)
        action = self.add("Where", self.add("GreaterOrEqual", x, one), high, action)
        action = self.add("Where", self.add("LessOrEqual", x, -one), low, action)
        self.add("Reshape", self._cast(action, dtype), np.array([-1, *shape]), output="action")

    def _features(self, found: Input) -> str:
        x = self.add("Flatten", _name(found.path), axis=1)
        if found.mean is not None and found.scale is not None:
            moments = found.mean.dtype
            x = self.add("Mul", self.add("Sub", self._cast(x, moments), found.mean), found.scale)
            limit = moments.type(normalize.LIMIT)
            x = self._cast(self.add("Clip", x, -limit, limit), found.dtype)
        x = self._cast(x, np.dtype(np.float32))
        return self.add("Div", x, found.divisor) if found.divisor != 1 else x

    def _layer(self, layer: Layer, x: str) -> str:
        arrays = layer.arrays
        match layer.name:
            case "dense":
                x = self.add("MatMul", x, arrays[0])
                return self.add("Add", x, arrays[1]) if arrays[1:] else x
            case "affine":
                mean, scale, bias = arrays
                return self.add("Add", self.add("Mul", self.add("Sub", x, mean), scale), bias)
            case "layer_norm":
                scale, bias = arrays
                return self.add(
                    "Add", self._rms_norm(self.add("Sub", x, self._mean(x)), scale), bias
                )
            case "rms_norm":
                return self._rms_norm(x, arrays[0])
            case "residual":
                return self.add("Add", x, self.layers(layer.inside, x))
            case "silu":
                return self.add("Mul", x, self.add("Sigmoid", x))
            case "gelu":
                root, cubic = GELU
                cube = self.add("Mul", self.add("Mul", self.add("Mul", x, x), x), cubic)
                bent = self.add("Tanh", self.add("Mul", self.add("Add", x, cube), root))
                return self.add("Mul", self.add("Mul", x, 0.5), self.add("Add", bent, 1.0))
            case "relu" | "tanh" | "elu":
                return self.add(layer.name.capitalize(), x)

    def _mean(self, x: str) -> str:
        return self.add("ReduceMean", x, np.array([-1]), keepdims=1)

    def _rms_norm(self, x: str, scale: np.ndarray) -> str:
        squares = self._mean(self.add("Mul", x, x))
        root = self.add("Sqrt", self.add("Add", squares, 1e-6))
        return self.add("Mul", x, self.add("Div", scale, root))

    def _cast(self, x: str, dtype: np.dtype) -> str:
        return self.add("Cast", x, to=self._type(dtype))

    def _type(self, dtype: np.dtype) -> int:
        return self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def _array(self, value: np.ndarray | float) -> str:
        is_number = type(value) in (int, float)  # and not one of NumPy's, which has a precision
        array = np.asarray(value, np.float32 if is_number else None)
        name = f"array.{len(self.arrays)}"
        self.arrays.append(self._onnx.numpy_helper.from_array(array, name))
        return name
