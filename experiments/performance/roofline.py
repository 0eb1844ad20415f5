"""The matrix products of one SAC update and nothing else: no update can be faster than these."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import jax


class Product(NamedTuple):
    """A matrix product of one dense layer."""

    kind: Literal["forward", "input gradient", "weight gradient"]
    inputs: int
    outputs: int


Layers = list[tuple[int, int]]
"""Inputs and outputs of each dense layer of a network."""


def dense_layers(*sizes: int) -> Layers:
    """The layers between consecutive sizes."""
    return list(itertools.pairwise(sizes))


def update_products(
    observation_size: int, action_size: int, hidden_sizes: Sequence[int], num_critics: int = 2
) -> list[Product]:
    """The products of one update, in the order of the algorithm."""
    actor = dense_layers(observation_size, *hidden_sizes, 2 * action_size)
    critic = dense_layers(observation_size + action_size, *hidden_sizes, 1)
    # A gradient stops where nothing upstream is trained: it does not reach a first layer's inputs,
    # but for the critics of the actor loss, where those hold the action.
    next_action = _forward(actor)
    target = _forward(critic)
    critic_loss = _forward(critic) + _weight_gradients(critic) + _input_gradients(critic[1:])
    actor_loss = _forward(actor) + _weight_gradients(actor) + _input_gradients(actor[1:])
    action_value = _forward(critic) + _input_gradients(critic)
    return next_action + actor_loss + num_critics * (target + critic_loss + action_value)


def flops(products: Sequence[Product], batch_size: int) -> int:
    """Multiplications and additions of the products together."""
    return sum(2 * batch_size * product.inputs * product.outputs for product in products)


def compile_products(
    products: Sequence[Product], batch_size: int, key: jax.Array
) -> Callable[[], list[jax.Array]]:
    """A function that computes all products in one jitted call.

    Each product has its own two operands, so that they come from the caches as they would in an
    update, and its own result. The results go to the buffers of the call before, which are donated:
    nothing is allocated, reduced or left out.
    """
    operands = [
        _operands(product, batch_size, k)
        for product, k in zip(products, jax.random.split(key, len(products)), strict=True)
    ]
    compute = jax.jit(_compute, static_argnums=0, donate_argnums=2, keep_unused=True)
    kinds = tuple(product.kind for product in products)
    results = _compute(kinds, operands, None)

    def call() -> list[jax.Array]:
        nonlocal results
        results = compute(kinds, operands, results)
        return results

    return call


def _compute(
    kinds: Sequence[str],
    operands: Sequence[tuple[jax.Array, jax.Array]],
    previous_results: list[jax.Array] | None,
) -> list[jax.Array]:
    del previous_results  # only their buffers are wanted
    return [_multiply(kind, *pair) for kind, pair in zip(kinds, operands, strict=True)]


def _multiply(kind: str, left: jax.Array, right: jax.Array) -> jax.Array:
    match kind:
        case "forward":  # activations (B, inputs), weights (inputs, outputs)
            return left @ right
        case "input gradient":  # gradient of the outputs (B, outputs), weights (inputs, outputs)
            return left @ right.T
        case _:  # activations (B, inputs), gradient of the outputs (B, outputs)
            return left.T @ right


def _operands(product: Product, batch_size: int, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    activations, weights = (batch_size, product.inputs), (product.inputs, product.outputs)
    output_gradients = (batch_size, product.outputs)
    left, right = {
        "forward": (activations, weights),
        "input gradient": (output_gradients, weights),
        "weight gradient": (activations, output_gradients),
    }[product.kind]
    left_key, right_key = jax.random.split(key)
    return jax.random.normal(left_key, left), jax.random.normal(right_key, right)


def _forward(layers: Layers) -> list[Product]:
    return [Product("forward", *layer) for layer in layers]


def _input_gradients(layers: Layers) -> list[Product]:
    return [Product("input gradient", *layer) for layer in layers]


def _weight_gradients(layers: Layers) -> list[Product]:
    return [Product("weight gradient", *layer) for layer in layers]
