"""Acts by the arrays in the .npz file of the same name."""

import functools
import json
from pathlib import Path

import numpy as np

_mean = functools.partial(np.mean, axis=-1, keepdims=True)
LAYERS = {
    "dense": lambda x, kernel, bias=0: x @ kernel + bias,
    "affine": lambda x, mean, scale, bias: (x - mean) * scale + bias,
    "layer_norm": lambda x, scale, bias: LAYERS["rms_norm"](x - _mean(x), scale) + bias,
    "rms_norm": lambda x, scale: x * (scale / np.sqrt(_mean(x * x) + 1e-6)),
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
}


class Policy:
    """What acts; arrays and metadata are those of the file."""

    def __init__(self, file=Path(__file__).with_suffix(".npz")):
        self.arrays = dict(np.load(file))
        self.metadata = json.loads(str(self.arrays["metadata"]))

    def __call__(self, observation):
        """The action in the environment's units, with the same leading axes."""
        x = np.concatenate([self._features(observation, **i) for i in self.metadata["inputs"]], -1)
        with np.errstate(over="ignore"):
            x = np.tanh(self._run(self.metadata["layers"], x))
        low, high = self.arrays["low"], self.arrays["high"]
        mode = np.clip((low + high) / 2 + (high - low) / 2 * x, low, high)
        mode = np.where(x >= 1, high, np.where(x <= -1, low, mode))
        return mode.astype(self.metadata["dtype"]).reshape((*x.shape[:-1], *self.metadata["shape"]))

    def _features(self, x, path, shape, dtype, divisor, scale):
        for key in path:
            x = x[key]
        x, lead = np.asarray(x).astype(dtype), np.ndim(x) - len(shape)
        if list(x.shape[lead:]) != shape:
            raise ValueError(f"observation{path} has shape {x.shape}, expected (..., *{shape}).")
        x = x.reshape(*x.shape[:lead], int(np.prod(shape)))
        if scale:
            x = np.clip((x - self.arrays[scale[0]]) * self.arrays[scale[1]], -10, 10).astype(dtype)
        return x.astype(self.metadata["precision"]) / divisor

    def _run(self, layers, x):
        for name, *parts in layers:
            inside = name == "residual"
            arrays = [] if inside else [self.arrays[part] for part in parts]
            x = x + self._run(parts, x) if inside else LAYERS[name](x, *arrays)
        return x
