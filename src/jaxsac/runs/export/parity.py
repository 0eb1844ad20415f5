"""Whether what was exported acts as the policy does."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsac.data import normalize
from jaxsac.runs.export.computation import leaves_with_moments
from jaxsac.runs.policies.load import Policy
from jaxsac.training.carry import Policy as LearnedPolicy
from jaxsac.types import PyTree

OBSERVATIONS, CHUNK = 10_000, 500
LIMIT = 1e-5
"""Largest difference that is let pass, in half ranges of an action."""
TRIES, LAST_DIGITS = 16, 1e-6
"""Policies with parameters and moments of observations changed by this share, up or down, which
show how far rounding goes."""


class ParityError(ValueError):
    """What was exported does not act as the policy does."""


@dataclasses.dataclass(frozen=True)
class Parity:
    """How far apart two policies are.

    A difference that is not larger than that which the policy itself makes when the seventh digits
    of its parameters and of the moments of observations change is rounding, and counted apart:
    where the mean is the small difference of large numbers, single precision leaves the action
    open, and so it does where it decides the last digit of an observation in half precision.
    """

    observations: int
    largest_difference: float
    """In half ranges of an action, its dtype's last digit aside."""
    largest_at_ordinary: float
    """The same at the first half of the observations, which are not made large."""
    limit: float
    at_a_bound: float
    """Share of the policy's actions that are saturated."""
    rounding: int
    """Actions that differ by more than the limit, and by no more than rounding."""
    largest_rounding: float
    """The largest difference of these, in half ranges."""


def measure(policy: Policy, act: Callable[[PyTree], np.ndarray]) -> Parity:
    """Compares the deterministic policy with what was exported of it.

    Args:
      policy: of a run.
      act: observations with one leading axis -> actions.

    Returns:
      How far apart they are at `OBSERVATIONS` observations: half of them as they are met in
      training where those were counted, and near the standard normal elsewhere; the others up to a
      million times as large.

    Raises:
      ParityError: they differ by more than the limit.
    """
    rng, changed = np.random.default_rng(0), []
    differences, bounds, rounding = [], [], [np.zeros(0)]
    for start in range(0, OBSERVATIONS, CHUNK):
        observation = _observations(policy, rng, start)
        expected = policy(observation)
        difference = _difference(policy, act(observation), expected)
        over = ~(difference <= LIMIT)
        if over.any():
            changed = changed or _changed(policy)
            moved = [_difference(policy, other(observation), expected) for other in changed]
            left_open = over & (difference <= np.max(moved, axis=0))
            rounding.append(difference[left_open])
            difference = np.where(left_open, 0, difference)
        differences.append(float(difference.max()))
        bounds.append(((expected == policy.action_low) | (expected == policy.action_high)).mean())
    found = Parity(
        observations=OBSERVATIONS,
        largest_difference=max(differences),
        largest_at_ordinary=max(differences[: len(differences) // 2]),
        limit=LIMIT,
        at_a_bound=float(np.mean(bounds)),
        rounding=sum(map(len, rounding)),
        largest_rounding=float(np.concatenate(rounding).max(initial=0)),
    )
    if not found.largest_difference <= LIMIT:
        raise ParityError(
            f"what was exported differs from the policy by {found.largest_difference:.1e} of half "
            f"an action's range, and {LIMIT} is allowed: nothing has been written. Please report "
            "it, with the manifest.json of the run."
        )
    return found


def _difference(policy: Policy, found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """|found - expected| in half ranges, but for the last digit; infinite where one is not finite.

    Raises:
      ParityError: another shape.
    """
    if found.shape != expected.shape:
        raise ParityError(f"what was exported acts in {found.shape}, expected {expected.shape}.")
    low, high = (np.asarray(x, np.float64) for x in (policy.action_low, policy.action_high))
    largest = np.maximum(abs(low), abs(high)).astype(policy.action_map.dtype)
    gap = abs(found.astype(np.float64) - expected) - np.spacing(largest).astype(np.float64)
    return np.nan_to_num(np.maximum(gap, 0) / (high - low) * 2, nan=np.inf)


def _changed(policy: Policy) -> list[Policy]:
    """Policies whose parameters and moments differ from it in their last digits."""
    rng = np.random.default_rng(1)

    def changed(x: Any) -> np.ndarray:
        x = np.asarray(x)
        return (x * (1 + LAST_DIGITS * rng.choice([-1, 1], x.shape))).astype(x.dtype)

    found, agent = [], policy.learned.agent
    for _ in range(TRIES):
        other = copy.copy(policy)
        actor = agent.actor.replace(params=jax.tree.map(changed, agent.actor.params))
        normalizer = tuple(
            each.replace(mean=changed(each.mean), squares=changed(each.squares))
            for each in policy.learned.normalizer
        )
        other.learned = LearnedPolicy(agent.replace(actor=actor), normalizer)
        found.append(other)
    return found


def _observations(policy: Policy, rng: np.random.Generator, start: int) -> PyTree:
    """The next `CHUNK` observations."""
    numbers = np.arange(start, start + CHUNK) / OBSERVATIONS
    # 1 for the first half, then up to a million.
    magnitude = 10 ** (12 * np.maximum(numbers - 0.5, 0))

    def drawn(struct: jax.ShapeDtypeStruct, middle: np.ndarray, deviation: np.ndarray) -> Any:
        shape, dtype = (CHUNK, *struct.shape), np.dtype(struct.dtype)
        if dtype == np.uint8:
            return rng.integers(0, 256, shape, dtype)
        size = magnitude.reshape(-1, *[1] * len(struct.shape))
        values = middle + deviation * size * rng.standard_normal(shape)
        if dtype.kind == "b":
            return values > 0
        limits = jnp.finfo(dtype) if normalize.is_float(struct) else jnp.iinfo(dtype)
        return np.clip(values, float(limits.min), float(limits.max)).astype(dtype)

    return jax.tree.map(drawn, policy.observation_spec, *_scale(policy))


def _scale(policy: Policy) -> tuple[PyTree, PyTree]:
    """Mean and standard deviation of each array of an observation; 0 and 1 where none is known."""
    structure = jax.tree.structure(policy.observation_spec)
    middles, deviations = [], []
    for _, struct, moments in leaves_with_moments(policy):
        middle, deviation = np.zeros(struct.shape), np.ones(struct.shape)
        if moments is not None:
            middle, deviation = moments.mean, np.sqrt(moments.squares / moments.count)
        middles.append(middle)
        deviations.append(deviation)
    return jax.tree.unflatten(structure, middles), jax.tree.unflatten(structure, deviations)
