"""Batches of two sources: exact shares of each, and nothing else where one is not there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assertions import assert_identical
from jaxsac import replay
from jaxsac.data import mixture

OWN, PRIOR = (replay.from_arrays({"x": np.arange(n) + start}) for n, start in ((50, 0), (40, 1000)))
sample = jax.jit(mixture.sample, static_argnums=(3, 4))


@pytest.mark.parametrize("rows", [0, 1, 8, 15, 16])
def test_every_batch_has_exactly_so_many_rows_of_prior_data(rows):
    for seed in range(20):
        drawn = np.asarray(sample(OWN, PRIOR, jax.random.key(seed), 16, rows)["x"])
        assert (drawn >= 1000).sum() == rows
        assert len(drawn) == 16


def test_both_parts_are_uniform():
    keys = jax.random.split(jax.random.key(0), 500)
    drawn = jax.vmap(lambda key: mixture.sample(OWN, PRIOR, key, 16, 4)["x"])(keys)
    own, prior = np.asarray(drawn[:, 4:]).ravel(), np.asarray(drawn[:, :4]).ravel() - 1000
    for values, count in ((own, 50), (prior, 40)):
        found, expected = np.bincount(values, minlength=count), len(values) / count
        assert len(found) == count
        assert np.abs(found - expected).max() < 5 * np.sqrt(expected)


def test_parts_are_drawn_by_keys_of_their_own():
    same = replay.from_arrays({"x": np.arange(50)})
    drawn = np.asarray(sample(same, same, jax.random.key(0), 16, 8)["x"])
    assert not np.array_equal(drawn[:8], drawn[8:])


def test_without_prior_data_a_batch_is_what_replay_draws():
    key = jax.random.key(3)
    assert_identical(mixture.sample(OWN, (), key, 16, 0), replay.sample(OWN, key, 16))


def test_one_ring_serves_all_seeds():
    own = jax.tree.map(lambda x: jnp.stack([x, x]), OWN)
    keys = jax.random.split(jax.random.key(0), 2)
    draw = jax.jit(jax.vmap(lambda own, key: mixture.sample(own, PRIOR, key, 16, 8)))
    drawn = np.asarray(draw(own, keys)["x"])
    assert ((drawn >= 1000).sum(axis=1) == 8).all()
    assert not np.array_equal(*drawn)


@pytest.mark.parametrize(
    ("fraction", "rows"), [(0, 0), (0.5, 128), (0.1, 26), (0.99, 253), (1, 256)]
)
def test_a_fraction_is_the_nearest_number_of_rows(fraction, rows):
    assert mixture.rows_of(fraction, 256) == rows
