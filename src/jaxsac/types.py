"""The words that every room shares: transitions, specs of pytrees, keys, bits, findings."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

PyTree = Any
"""Nested tuples, lists and dicts of arrays; a single array is one too."""


Params = Any
"""Parameters of a network: a pytree of arrays."""


class Transition(NamedTuple):
    """One step of a Markov decision process, or a batch of them with leading axes.

    `discount` follows dm_env and rlax: 0 where the process *terminated*, 1 elsewhere. A time
    limit is not a termination, so it keeps 1 and the next state's value is bootstrapped;
    `next_observation` is then the true final observation, not that of a reset.
    """

    observation: PyTree
    """Pytree of arrays, each (..., *event)."""
    action: Any
    """(..., A), in [-1, 1]."""
    reward: Any
    """(...)."""
    discount: Any
    """(...), in [0, 1]."""
    next_observation: PyTree
    """As `observation`."""


def transition_of(observation: PyTree, action: jax.ShapeDtypeStruct) -> Transition:
    """The transition of one observation and action example; scalars have the action's dtype."""
    scalar = jax.ShapeDtypeStruct((), action.dtype)
    return Transition(observation, action, scalar, scalar, observation)


@dataclasses.dataclass(frozen=True)
class Spec:
    """Structure, shapes and dtypes of one unbatched pytree.

    Hashable and compared by value, so it can be a static field of a jitted function's argument.
    """

    treedef: Any
    leaves: tuple[jax.ShapeDtypeStruct, ...]

    @classmethod
    def of(cls, example: PyTree, name: str = "the example") -> Spec:
        """The spec of an unbatched `example`: arrays, scalars or `jax.ShapeDtypeStruct`s.

        Args:
          example: any pytree of those.
          name: what to call it in an error.

        Raises:
          TypeError: it holds a space of an environment, which has no values, a string or keys.
        """
        leaves, treedef = jax.tree.flatten(example)
        for leaf in leaves:
            if hasattr(leaf, "sample") and hasattr(leaf, "contains"):
                raise TypeError(
                    f"{name} must be an example, or jax.ShapeDtypeStructs, got the space {leaf}: "
                    "space.sample() is an example."
                )
            if isinstance(leaf, str):
                raise TypeError(f"{name} must be an example in numbers, got {leaf!r}.")
            if hasattr(leaf, "dtype") and is_key(leaf):
                raise TypeError(
                    f"{name} must be an example in numbers, got random keys: jax.random.key_data "
                    "makes numbers of them."
                )
        return cls(treedef, tuple(_struct(leaf) for leaf in leaves))

    @property
    def tree(self) -> PyTree:
        """The pytree of `jax.ShapeDtypeStruct`s that this describes."""
        return jax.tree.unflatten(self.treedef, self.leaves)

    def zeros(self, *batch_shape: int) -> PyTree:
        """A pytree of zeros with this spec and leading axes `batch_shape`."""
        return jax.tree.map(
            lambda leaf: jnp.zeros((*batch_shape, *leaf.shape), leaf.dtype), self.tree
        )

    def batch_shape(self, name: str, tree: PyTree) -> tuple[int, ...]:
        """The leading axes that all leaves of `tree` share in front of this spec's shapes.

        Args:
          name: what to call `tree` in an error.
          tree: a pytree of arrays.

        Returns:
          The common leading shape; `()` for an unbatched tree.

        Raises:
          ValueError: another structure, dtype or event shape, or leaves that disagree on their
            leading axes. The message names the leaf, what it has and what was expected.
        """
        paths_and_leaves, treedef = jax.tree.flatten_with_path(tree)
        if treedef != self.treedef:
            raise ValueError(
                self._no_arrays(name, tree)
                or f"{name} has the tree structure {treedef}, expected {self.treedef} as in the "
                "example given to `init`."
            )
        batch_shapes = {}
        for (path, leaf), expected in zip(paths_and_leaves, self.leaves, strict=True):
            leaf_name, actual = name + jax.tree_util.keystr(path), _struct(leaf)
            if actual.dtype != expected.dtype:
                raise ValueError(
                    f"{leaf_name} has dtype {actual.dtype}, expected {expected.dtype}: convert it "
                    "first, or call `init` with an example of the dtype you mean."
                )
            split = len(actual.shape) - len(expected.shape)
            if split < 0 or actual.shape[split:] != expected.shape:
                raise ValueError(
                    f"{leaf_name} has shape {actual.shape}, expected "
                    f"({', '.join(['...', *map(str, expected.shape)])})."
                )
            batch_shapes[leaf_name] = actual.shape[:split]
        if len(set(batch_shapes.values())) > 1:
            raise ValueError(describe_disagreement(batch_shapes))
        return next(iter(batch_shapes.values()), ())

    def _no_arrays(self, name: str, tree: PyTree) -> str | None:
        """The error text for what stands where this spec has arrays; None if more is wrong."""
        try:
            parts = self.treedef.flatten_up_to(tree)
        except (TypeError, ValueError):
            return None
        paths = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(self.tree)]
        wrong = [
            f"{name}{path} is {'None' if part is None else f'a {type(part).__name__}'}"
            for path, part in zip(paths, parts, strict=True)
            if not jax.tree_util.all_leaves([part])
        ]
        return f"{', '.join(wrong)}, expected an array."


def describe_disagreement(batch_shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The error text for leaves that should have the same leading axes and do not."""
    listed = ", ".join(f"{name}: {shape}" for name, shape in batch_shapes.items())
    return (
        f"leading axes disagree ({listed}); every leaf needs the same ones, so a reward is (B,), "
        "not (B, 1)."
    )


def flatten_batch(tree: PyTree, batch_shape: tuple[int, ...]) -> PyTree:
    """Merges the leading axes `batch_shape` of every leaf into one."""
    size, rank = math.prod(batch_shape), len(batch_shape)
    return jax.tree.map(lambda leaf: jnp.reshape(leaf, (size, *jnp.shape(leaf)[rank:])), tree)


class Finding(NamedTuple):
    """The outcome of one check, for a person."""

    what: str
    verdict: Literal["good", "advice", "bad"]
    """Advice is what may be meant so, and costs something if it is not."""
    detail: str


def is_key(leaf: Any) -> bool:
    """Whether an array holds random keys, which NumPy does not know."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


KEY_SHAPES = ((2,), (4,))
"""Of keys of the old kind: those of threefry2x32, and of the generators of the hardware."""


def check_key(key: Any) -> None:
    """Refuses what is not one random key.

    Raises:
      TypeError: names what it is.
    """
    dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", ())
    typed = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key) and shape == ()
    if not typed and (dtype != jnp.uint32 or shape not in KEY_SHAPES):
        what = type(key).__name__ if dtype is None else f"{dtype}{list(shape)}"
        raise TypeError(
            f"key must be one random key of JAX, such as jax.random.key(0), got {what}: numbers "
            "are no keys, and jax.random.split makes several of one."
        )


def same_bits(a: PyTree, b: PyTree) -> bool:
    """Whether two pytrees of arrays, random keys aside, are equal, NaN to NaN included."""
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.asarray(x).tobytes() == np.asarray(y).tobytes() for x, y in leaves)


def narrowed(array: np.ndarray | np.generic, dtype: Any) -> np.ndarray:
    """An array of NumPy in the dtype that JAX holds it in: without 64 bits, in 32.

    Floats that are too large become infinities.

    Raises:
      ValueError: whole numbers that the dtype does not have.
    """
    if array.dtype == dtype:
        return np.asarray(array)
    with np.errstate(over="ignore"):
        held = np.asarray(array, dtype)
    if jnp.issubdtype(dtype, jnp.integer) and not np.array_equal(held, array):
        raise ValueError(
            f"whole numbers from {np.min(array)} to {np.max(array)} are not those of {dtype}, "
            "which JAX has without JAX_ENABLE_X64."
        )
    return held


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, of Python or of NumPy; a bool is none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_traced(value: Any) -> bool:
    """Whether a value is known only to a transformation (`jax.jit`, `jax.vmap`, …) in progress."""
    return isinstance(value, jax.core.Tracer)  # pyright: ignore[reportAttributeAccessIssue]


def _struct(leaf: Any) -> jax.ShapeDtypeStruct:
    dtype = jax.dtypes.canonicalize_dtype(
        leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)
    )
    return jax.ShapeDtypeStruct(jnp.shape(leaf), dtype)
