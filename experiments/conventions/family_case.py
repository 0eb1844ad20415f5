"""A batch, noise and weights for each algorithm of the family. NumPy alone.

A network is a list of layers in the order in which an input passes them; an actor's last two layers
are its means and its log standard deviations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import case
import numpy as np

ALGORITHMS = ("tqc", "crossq", "droq", "simba")
QUANTILES = 25
WIDTH = 4
CRITIC_BLOCKS, ACTOR_BLOCKS = 2, 1
"""Of SimBa; the others have two hidden layers."""
QUANTITIES = (*case.LOSSES, *case.GRADIENTS, "statistics")
PARAMETERS = ("actor", "critics", "targets", "log_alpha")


class Layer(NamedTuple):
    """One layer, with Flax's names."""

    kind: str
    params: Mapping[str, Any]
    statistics: Mapping[str, Any] = {}


Network = list[Layer]


class Case(NamedTuple):
    """What SBX and jaxsac are given."""

    algorithm: Any
    """The name of its preset."""
    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    next_observation: np.ndarray
    actor: Network
    critics: list[Network]
    targets: list[Network]
    """None of CrossQ's."""
    noise: np.ndarray
    """ε of the actor's loss, (B, A)."""
    next_noise: np.ndarray
    """ε of the next action, (B, A)."""
    kept: list[np.ndarray]
    """Which units dropout leaves, (B, units) for each layer: targets, critics, and critics in the
    actor's loss. Alike for both critics, as a mask is drawn once for a network."""
    log_alpha: np.ndarray


def make(algorithm: str, dtype: Any, warm: bool = True) -> Case:
    """The case of an algorithm in a precision. All numbers are float32's, so it is one in any.

    Args:
      algorithm: one of ALGORITHMS.
      dtype: float32 or float64.
      warm: whether batch renormalization has had its warm-up.
    """
    plain = case.make(dtype, wide=False)
    rng = np.random.RandomState(1)

    def rounded(array: Any) -> np.ndarray:
        return np.asarray(array, np.float32).astype(dtype)

    def dense(inputs: int, units: int) -> Layer:
        kernel = rng.standard_normal((inputs, units)) * 1.4 / np.sqrt(inputs)
        return Layer(
            "Dense",
            {"kernel": rounded(kernel), "bias": rounded(0.3 * rng.standard_normal(units))},
        )

    def norm(kind: str, size: int) -> Layer:
        scale, bias = 1 + 0.2 * rng.standard_normal(size), 0.2 * rng.standard_normal(size)
        statistics = {}
        if kind == "BatchRenorm":
            # From close to the batch's own to far enough away that the bounds count.
            statistics = {
                "mean": rounded(rng.standard_normal(size) * np.resize([0.1, 0.1, 8], size)),
                "var": rounded(np.exp(rng.standard_normal(size)) * np.resize([1, 1, 0.05], size)),
                "steps": np.asarray(200_000 if warm else 0, np.int32),
            }
        return Layer(kind, {"scale": rounded(scale), "bias": rounded(bias)}, statistics)

    def body(inputs: int, blocks: int, of_critic: bool) -> Network:
        if algorithm == "simba":
            block = [norm("LayerNorm", WIDTH), dense(WIDTH, 4 * WIDTH), dense(4 * WIDTH, WIDTH)]
            layers = [dense(inputs, WIDTH)]
            for _ in range(blocks):
                layers += block
            return [*layers, norm("LayerNorm", WIDTH)]
        layers = [norm("BatchRenorm", inputs)] if algorithm == "crossq" else []
        for size in (inputs, WIDTH):
            layers.append(dense(size, WIDTH))
            if algorithm == "crossq":
                layers.append(norm("BatchRenorm", WIDTH))
            if algorithm == "droq" and of_critic:
                layers.append(norm("LayerNorm", WIDTH))
        return layers

    def critic() -> Network:
        outputs = QUANTILES if algorithm == "tqc" else 1
        inputs = case.OBSERVATION_SIZE + case.ACTION_SIZE
        return [*body(inputs, CRITIC_BLOCKS, True), dense(WIDTH, outputs)]

    actor = body(case.OBSERVATION_SIZE, ACTOR_BLOCKS, False)
    actor += [dense(WIDTH, case.ACTION_SIZE), dense(WIDTH, case.ACTION_SIZE)]
    critics, targets = ([critic() for _ in range(2)] for _ in range(2))
    kept = [rng.uniform(size=(case.BATCH_SIZE, WIDTH)) > 0.1 for _ in range(6)]
    return Case(
        algorithm, plain.observation, plain.action, plain.reward, plain.terminated,
        plain.next_observation, actor, critics, [] if algorithm == "crossq" else targets,
        plain.noise, plain.next_noise, kept if algorithm == "droq" else [], plain.log_alpha,
    )  # fmt: skip


def flat(networks: Iterable[Network], part: str = "params") -> list[float]:
    """All parameters or statistics of some networks, one after the other."""
    arrays = [
        np.ravel(np.asarray(getattr(layer, part)[name]))
        for network in networks
        for layer in network
        for name in sorted(getattr(layer, part))
    ]
    numbers = np.concatenate(arrays) if arrays else []
    return [float(f"{number:.12g}") for number in numbers]


def by_name(network: Network) -> dict[str, Layer]:
    """The layers under Flax's names, such as Dense_0 and LayerNorm_0."""
    named: dict[str, Layer] = {}
    for layer in network:
        number = sum(name.startswith(f"{layer.kind}_") for name in named)
        named[f"{layer.kind}_{number}"] = layer
    return named
