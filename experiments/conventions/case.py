"""One batch, one agent and one draw of noise, alike for every library. NumPy alone.

A network is a list of arrays [W1, b1, W2, b2, W3, b3], weights (inputs, outputs); the actor's
last layer has the means first and then the log standard deviations.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

RESULTS = Path(__file__).resolve().parent / "results"
OBSERVATION_SIZE, ACTION_SIZE, BATCH_SIZE = 4, 2, 32
HIDDEN_SIZES = (8, 8)
LOG_ALPHA = -1.2
"""Not 0, where log α would be no weight at all and α one of 1."""
LOSSES = ("critic_loss", "actor_loss", "alpha_loss")
GRADIENTS = ("critic_gradient", "actor_gradient", "alpha_gradient")

Network = list[np.ndarray]


class Case(NamedTuple):
    """What every library is given."""

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    next_observation: np.ndarray
    actor: Network
    critics: list[Network]
    targets: list[Network]
    noise: np.ndarray
    """ε of the actor's loss, (B, A)."""
    next_noise: np.ndarray
    """ε of the next action, (B, A)."""
    log_alpha: np.ndarray


def make(dtype: Any, wide: bool = True) -> Case:
    """The case in a precision. All numbers are float32's, so it is the same case in any.

    Args:
      dtype: float32 or float64.
      wide: whether the log standard deviations reach beyond every library's bounds, so that some
        policies are clipped and some actions saturated. Otherwise σ is about 1 and |u| below 5.
    """
    rng = np.random.RandomState(0)  # its stream never changes between versions of NumPy

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32).astype(dtype)

    def network(inputs: int, outputs: int) -> Network:
        sizes = (inputs, *HIDDEN_SIZES, outputs)
        arrays = []
        for fan_in, fan_out in itertools.pairwise(sizes):
            scale = np.float32(1.4 / np.sqrt(fan_in))
            arrays += [normal(fan_in, fan_out) * scale, normal(fan_out) * np.float32(0.3)]
        return [array.astype(np.float32).astype(dtype) for array in arrays]

    actor = network(OBSERVATION_SIZE, 2 * ACTION_SIZE)
    actor[-2][:, ACTION_SIZE:] *= 12 if wide else 0.125
    actor[-1][ACTION_SIZE:] -= 6 if wide else 0
    both = OBSERVATION_SIZE + ACTION_SIZE
    return Case(
        observation=normal(BATCH_SIZE, OBSERVATION_SIZE),
        action=np.tanh(normal(BATCH_SIZE, ACTION_SIZE)).astype(np.float32).astype(dtype),
        reward=normal(BATCH_SIZE),
        terminated=(np.arange(BATCH_SIZE) % 4 == 0).astype(dtype),
        next_observation=normal(BATCH_SIZE, OBSERVATION_SIZE),
        actor=actor,
        critics=[network(both, 1) for _ in range(2)],
        targets=[network(both, 1) for _ in range(2)],
        noise=normal(BATCH_SIZE, ACTION_SIZE),
        next_noise=normal(BATCH_SIZE, ACTION_SIZE),
        log_alpha=np.float32(LOG_ALPHA).astype(dtype),
    )


def split_heads(network: Network) -> list[Network]:
    """The layers of an actor as (weight, bias), its last one as two: means, log stds."""
    *hidden, weight, bias = network
    layers = [list(pair) for pair in zip(hidden[::2], hidden[1::2], strict=True)]
    heads = zip(np.split(weight, 2, axis=1), np.split(bias, 2), strict=True)
    return [*layers, *(list(head) for head in heads)]


def join_heads(layers: list[Network]) -> Network:
    """The inverse of `split_heads`."""
    *hidden, mean, log_std = layers
    last = [np.concatenate(pair, axis=-1) for pair in zip(mean, log_std, strict=True)]
    return [array for layer in [*hidden, last] for array in layer]


def flat(networks: Iterable[Network]) -> list[float]:
    """All numbers of some networks, one after the other."""
    arrays = [np.ravel(np.asarray(array)) for network in networks for array in network]
    return [float(f"{number:.12g}") for number in np.concatenate(arrays)]


def spread(networks: list[Network]) -> list[dict[str, float]]:
    """How the initial weights of each layer are spread, in units of 1/√inputs."""
    layers = []
    for arrays in zip(*networks, strict=True):
        layers.append(np.stack([np.asarray(array) for array in arrays]))
    return [
        {
            "kernel_std": float(np.std(kernel) * np.sqrt(kernel.shape[1])),
            "kernel_max": float(np.max(np.abs(kernel)) * np.sqrt(kernel.shape[1])),
            "bias_max": float(np.max(np.abs(bias)) * np.sqrt(kernel.shape[1])),
        }
        for kernel, bias in zip(layers[::2], layers[1::2], strict=True)
    ]


def write(peer: str, packages: Iterable[str], facts: dict[str, Any]) -> None:
    """Stores what a library computed, with its version, as results/<peer>.json."""
    versions = {name: version(name).split("+")[0] for name in packages}
    versions["python"] = ".".join(map(str, sys.version_info[:3]))
    text = json.dumps({"versions": versions, **facts}, indent=1)
    RESULTS.mkdir(exist_ok=True)
    rows = re.sub(r"\[([^][{}]*)\]", lambda found: " ".join(found[0].split()), text)
    (RESULTS / f"{peer}.json").write_text(rows + "\n")


def read(peer: str) -> dict[str, Any]:
    """What `write` has stored."""
    return json.loads((RESULTS / f"{peer}.json").read_text())
