import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assertions import assert_identical
from jaxsac.data import normalize

RNG = np.random.default_rng(0)
# Far from zero, where a mean of squares less a squared mean would have no digits left.
STREAM = (RNG.normal(size=(500, 3)) * [0.1, 1.0, 30.0] + [0.0, 1000.0, -7.0]).astype(np.float32)

update = jax.jit(normalize.update)


def after(stream, sizes, masks=None):
    """Moments of a stream that arrives in pieces, and the rows that were counted."""
    normalizer, start = normalize.init(jax.ShapeDtypeStruct(stream.shape[1:], stream.dtype)), 0
    while start < len(stream):
        size = next(sizes)
        piece = stream[start : start + size]
        mask = np.ones(len(piece), bool) if masks is None else masks[start : start + size]
        normalizer = update(normalizer, piece, mask)
        start += size
    return normalizer


@pytest.mark.parametrize("sizes", [[1], [500], [7, 64, 1, 20]])
def test_moments_are_those_of_everything_that_was_counted(sizes):
    masks = RNG.random(len(STREAM)) < 0.8
    stream = np.where(masks[:, None], STREAM, np.float32(np.nan))
    (moments,) = after(stream, iter(sizes * 500), masks)
    counted = STREAM[masks].astype(np.float64)
    assert moments.count == masks.sum()
    np.testing.assert_allclose(moments.mean, counted.mean(axis=0), rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(moments.squares / masks.sum(), counted.var(axis=0), rtol=1e-3)


def test_nothing_that_counts_changes_nothing():
    normalizer = after(STREAM, iter([500]))
    nothing = update(normalizer, np.full((4, 3), np.inf, np.float32), np.zeros(4, bool))
    assert_identical(nothing, normalizer)


def seen(count, deviation):
    """The moments of so many observations with mean 0."""
    (moments,) = normalize.init(jnp.zeros(1))
    squares = jnp.full(1, count * deviation**2, jnp.float32)
    return (moments.replace(count=jnp.asarray(count, jnp.int32), squares=squares),)


def test_of_very_many_observations_the_earlier_ones_fade():
    rows = 2 * jnp.where(jnp.arange(40_000) % 2, 1.0, -1.0)[:, None, None]

    def one_more(normalizer, row):
        return normalize.update(normalizer, row, jnp.ones(1, bool)), None

    (moments,) = jax.lax.scan(one_more, seen(200_000_000, deviation=1), rows)[0]
    kept = math.exp(-len(rows) / normalize.MOST)
    found = moments.squares / moments.count
    np.testing.assert_allclose(found, kept + 4 * (1 - kept), rtol=1e-3)


def test_the_number_of_observations_does_not_overflow():
    normalizer = seen(2**31 - 1025, deviation=1)
    for _ in range(3):
        normalizer = update(normalizer, RNG.normal(size=(1024, 1)), jnp.ones(1024, bool))
    (moments,) = normalizer
    assert moments.count == normalize.MOST + 1024
    np.testing.assert_allclose(moments.mean, 0, atol=1e-3)
    np.testing.assert_allclose(moments.squares / moments.count, 1, rtol=1e-3)


def test_features_are_less_their_mean_and_over_their_deviation():
    normalizer = after(STREAM, iter([500]))
    scaled = normalize.apply(normalizer, STREAM.reshape(5, 100, 3))
    assert scaled.shape == (5, 100, 3)
    expected = (STREAM - STREAM.mean(axis=0, dtype=float)) / STREAM.std(axis=0, dtype=float)
    np.testing.assert_allclose(scaled.reshape(-1, 3), expected, rtol=1e-3, atol=1e-3)


def test_features_out_of_the_ordinary_are_bounded_and_constant_ones_are_zero():
    constant = np.tile(np.float32([1.0, 2.0]), (10, 1))
    constant[:, 1] = np.arange(10)
    normalizer = after(constant, iter([10]))
    scaled = normalize.apply(normalizer, np.float32([[1.0, 1e9], [1.001, -1e9]]))
    np.testing.assert_array_equal(scaled, [[0.0, 10.0], [10.0, -10.0]])


def test_whole_numbers_are_left_alone_and_dtypes_kept():
    example = {
        "a": jnp.ones(2, jnp.int32), "half": jnp.ones(2, jnp.float16), "image": jnp.ones(2, "uint8")
    }  # fmt: skip
    batch = jax.tree.map(lambda x: jnp.stack([x, 3 * x]), example)
    normalizer = normalize.update(normalize.init(example), batch, np.ones(2, bool))
    scaled = normalize.apply(normalizer, batch)
    expected = batch | {"half": jnp.array([[-1, -1], [1, 1]], jnp.float16)}
    assert_identical(scaled, expected)


def test_before_anything_is_counted_and_without_moments_it_is_the_identity():
    for normalizer in ((), normalize.init(STREAM[0])):
        assert_identical(normalize.apply(normalizer, jnp.array(STREAM)), jnp.array(STREAM))
    assert normalize.update((), STREAM, np.ones(500, bool)) == ()


def test_half_precision_observations_are_counted_in_single_precision():
    x = jnp.full((70_000, 1), 2, jnp.float16) + jnp.tile(jnp.float16([-1, 1]), 35_000)[:, None]
    normalizer = normalize.update(normalize.init(x[0]), x, jnp.ones(70_000, bool))
    normalizer = normalize.update(normalizer, x, jnp.ones(70_000, bool))
    scaled = normalize.apply(normalizer, x[:2])
    assert scaled.dtype == jnp.float16
    np.testing.assert_allclose(scaled, [[-1], [1]], rtol=1e-3)


@pytest.mark.parametrize(
    "mask",
    [np.ones((3, 1), bool), np.ones(1, bool), np.ones(3, int)],
    ids=["column", "short", "int"],
)
def test_a_mask_that_is_not_one_bool_for_each_observation_is_refused(mask):
    with pytest.raises(AssertionError, match="Chex"):
        normalize.update(normalize.init(jnp.zeros(1)), jnp.ones((3, 1)), mask)


def test_moments_of_data_are_those_of_its_rows_one_after_the_other():
    rng = np.random.default_rng(1)
    rows = {"image": rng.integers(0, 9, (40, 2), np.uint8), "x": rng.normal(5, 2, (40, 3))}
    rows["x"] = rows["x"].astype(np.float32)
    counted = normalize.init(jax.tree.map(lambda x: x[0], rows))
    for start in range(0, 40, 8):
        part = jax.tree.map(lambda x, at=start: x[at : at + 8], rows)
        counted = normalize.update(counted, part, np.ones(8, bool))
    found = normalize.of_data(rows)
    assert jax.tree.structure(found) == jax.tree.structure(counted)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(counted), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("huge", [1e20, -1e20, 3e38])
def test_a_number_whose_square_is_not_finite_is_not_counted(huge):
    rows = jnp.array([[1.0, 2.0], [huge, 5.0], [3.0, 4.0]])
    counted = jnp.ones(3, bool)
    found = normalize.update(normalize.init(rows[0]), rows, counted)
    expected = normalize.update(normalize.init(rows[0]), rows, counted.at[1].set(False))
    assert_identical(found, expected)
    mask = np.ones(3, bool)
    normalize.update(found, rows, mask)
    assert mask.all(), "the caller's own is left alone"
    (of_data,), (kept,) = normalize.of_data(np.asarray(rows)), expected
    assert of_data.count == kept.count
    np.testing.assert_allclose(of_data.squares, kept.squares, rtol=1e-6)
    assert normalize.of_data(np.asarray(rows[1:2]))[0].count == 0
    (scale,) = normalize.update(found, rows[1:2], counted[:1])
    assert np.isfinite(scale.squares).all()


def test_other_arrays_than_those_of_the_example_are_refused():
    normalizer, every = normalize.init(np.ones(3)), np.ones(3, bool)
    for wrong in (np.ones(1), np.ones((64, 1))):
        with pytest.raises(ValueError, match=r"an array of shape .*expected \(\.\.\., 3\)"):
            normalize.apply(normalizer, wrong)
    with pytest.raises(ValueError, match=r"has 2 arrays of floats, .* had 1"):
        normalize.apply(normalizer, (np.ones(3), np.ones(3)))
    with pytest.raises(AssertionError, match="expected 2"):
        normalize.update(normalizer, np.ones(3), every)  # one observation, not three


def test_arrays_of_numpy_of_any_precision_are_taken_without_a_word(recwarn):
    (moments,) = normalize.of_data(np.ones((4, 2)))
    assert moments.mean.dtype == np.float32
    assert normalize.of_data(np.ones((0, 3)))[0].count == 0
    normalize.of_data(np.ones((4, 2), np.float16))
    normalize.apply((moments,), np.zeros(2))
    assert not recwarn.list
