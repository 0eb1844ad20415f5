# pyright: reportMissingImports=false
"""What the measurements of libraries in JAX share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import case
import jax
import jax.numpy as jnp
import optax

RECORDER = optax.GradientTransformation(
    init=lambda params: params,
    update=lambda updates, state, params=None: (jax.tree.map(jnp.zeros_like, updates), updates),
)
"""An optimizer that moves nothing and whose state is the latest gradient."""


@contextmanager
def noise(*draws: Any, kept: Iterable[Any] = ()) -> Iterator[None]:
    """Lets `jax.random.normal` return these arrays, one after the other.

    And `jax.random.bernoulli`, by which dropout draws, those of `kept`.
    """
    waiting, masks = list(draws), list(kept)

    def normal(key: Any, shape: Any = (), dtype: Any = None) -> jax.Array:
        draw = jnp.asarray(waiting.pop(0))
        assert (*(1,) * (len(shape) - draw.ndim), *draw.shape) == tuple(shape)
        return draw.reshape(shape)

    def bernoulli(key: Any, p: Any = 0.5, shape: Any = ()) -> jax.Array:
        mask = jnp.asarray(masks.pop(0))
        assert mask.shape == tuple(shape)
        return mask

    jax.clear_caches()  # a program compiled before would have the noise of its own trace
    with mock.patch("jax.random.normal", normal), mock.patch("jax.random.bernoulli", bernoulli):
        yield
    assert not waiting
    assert not masks


def both_precisions(measure: Callable[[case.Case], dict[str, Any]]) -> dict[str, Any]:
    """`measure` of an ordinary case as shipped, and of the wide one in double precision."""
    facts = {"as shipped": measure(case.make("float32", wide=False))}
    with jax.enable_x64(True):
        facts["double precision"] = measure(case.make("float64"))
    return facts


def dense(layers: Any) -> dict[str, Any]:
    """The parameters of Flax's Dense of a (weight, bias)."""
    weight, bias = layers
    return {"kernel": jnp.asarray(weight), "bias": jnp.asarray(bias)}


def pairs(network: case.Network) -> list[tuple[Any, Any]]:
    """The layers of a network as (weight, bias)."""
    return list(zip(network[::2], network[1::2], strict=True))


def arrays(*layers: Any) -> list[Any]:
    """The inverse of `dense` for some layers."""
    return [layer[name] for layer in layers for name in ("kernel", "bias")]


def stack_networks(networks: list[case.Network]) -> Any:
    """The parameters of Flax's Dense_0, Dense_1, … with an axis over the networks in front."""
    trees = [
        {f"Dense_{i}": dense(layer) for i, layer in enumerate(pairs(network))}
        for network in networks
    ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def unstack_networks(params: Any) -> list[case.Network]:
    """The inverse of `stack_networks`."""
    stacked = arrays(*(params[f"Dense_{i}"] for i in range(len(params))))
    return [[array[k] for array in stacked] for k in range(len(stacked[0]))]
