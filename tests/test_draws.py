"""Random arrays are those of JAX, whatever their shape."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsac import draws


@pytest.mark.parametrize("shape", [(), (7,), (2, 5, 3)])
@pytest.mark.parametrize("name", ["normal", "uniform"])
def test_they_have_the_bits_of_jax_also_under_vmap(name, shape):
    ours, theirs = getattr(draws, name), getattr(jax.random, name)
    keys = jax.random.split(jax.random.key(0), 2)
    found = jax.vmap(lambda key: ours(key, shape, jnp.float32))(keys)
    for drawn, key in zip(found, keys, strict=True):
        np.testing.assert_array_equal(drawn, theirs(key, shape, jnp.float32))
