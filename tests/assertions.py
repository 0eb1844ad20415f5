"""Assertions about pytrees that tests in several folders share."""

import jax
import numpy as np

from jaxsac.types import is_key


def assert_identical(actual, expected):
    """Bit for bit, dtypes and structure included; NaN equals NaN."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for (path, a), b in zip(
        jax.tree.leaves_with_path(actual), jax.tree.leaves(expected), strict=True
    ):
        assert a.dtype == b.dtype, jax.tree_util.keystr(path)
        if is_key(a):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_array_equal(a, b, err_msg=jax.tree_util.keystr(path))
