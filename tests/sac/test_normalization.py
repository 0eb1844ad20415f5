"""Batch normalization, bodies and projections, against formulas in NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import config_with

from jaxsac.sac.apply import apply, apply_in_training
from jaxsac.sac.bodies import BODIES
from jaxsac.sac.normalization import BatchNorm, BatchNormSettings, BatchRenorm
from jaxsac.sac.projection import unit_norm_affine

KEY = jax.random.key(0)
EPSILON = 0.05  # large, so that its place shows
MEAN, VARIANCE = np.array([0.5, -2.0, 0.1]), np.array([2.0, 0.5, 30.0])
SCALE, BIAS = np.array([1.5, 0.5, -1.0]), np.array([0.1, 0.2, 0.3])


def normalization(kind, warmup=0):
    module = kind(BatchNormSettings(0.9, EPSILON, warmup), False, jnp.float64)
    variables = module.init(KEY, jnp.zeros((1, 3)))
    stats = {**variables["batch_stats"], "mean": jnp.asarray(MEAN), "var": jnp.asarray(VARIANCE)}
    params = {"scale": jnp.asarray(SCALE), "bias": jnp.asarray(BIAS)}
    return module, {"params": params, "batch_stats": stats}


def in_training(module, variables, x):
    output, collections = module.clone(train=True).apply(variables, x, mutable=["batch_stats"])
    return output, collections["batch_stats"]


@pytest.fixture
def batch():
    """Whose first feature is near the running averages, the others far off."""
    x = np.random.default_rng(0).normal(size=(6, 3)) * [1.3, 9.0, 0.1] + [0.7, 1.0, 99.0]
    return jnp.asarray(x)


@pytest.mark.usefixtures("x64")
def test_batch_normalization_trains_by_the_batch_and_acts_by_running_averages():
    module, variables = normalization(BatchNorm)
    x = np.random.default_rng(0).normal(size=(6, 3)) + 4
    output, stats = in_training(module, variables, jnp.asarray(x))
    expected = (x - x.mean(0)) / np.sqrt(x.var(0) + EPSILON) * SCALE + BIAS
    np.testing.assert_allclose(output, expected, rtol=1e-10)
    np.testing.assert_allclose(stats["mean"], 0.9 * MEAN + 0.1 * x.mean(0), rtol=1e-12)
    unbiased = x.var(0, ddof=1)
    np.testing.assert_allclose(stats["var"], 0.9 * VARIANCE + 0.1 * unbiased, rtol=1e-12)
    acting = (x - MEAN) / np.sqrt(VARIANCE + EPSILON) * SCALE + BIAS
    np.testing.assert_allclose(module.apply(variables, jnp.asarray(x)), acting, rtol=1e-10)


@pytest.mark.usefixtures("x64")
def test_batch_normalization_has_the_derivatives_of_its_formula(batch):
    module, variables = normalization(BatchNorm)

    def all_of_it(x):
        y, stats = in_training(module, variables, x)
        return y, stats["mean"], stats["var"]

    def formula(x):
        y = (x - x.mean(0)) / jnp.sqrt(x.var(0) + EPSILON) * SCALE + BIAS
        return y, 0.9 * MEAN + 0.1 * x.mean(0), 0.9 * VARIANCE + 0.1 * x.var(0, ddof=1)

    def curved(function):
        return lambda x: sum(jnp.sum(jnp.sin(each)) for each in function(x))

    for derivative in (jax.jacrev, jax.jacfwd):
        for a, b in zip(derivative(all_of_it)(batch), derivative(formula)(batch), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    found, expected = (jax.hessian(curved(f))(batch) for f in (all_of_it, formula))
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.usefixtures("x64")
def test_batch_renormalization_trains_by_running_averages_within_bounds(batch):
    module, variables = normalization(BatchRenorm)
    output, stats = in_training(module, variables, batch)
    x, std = np.asarray(batch), np.sqrt(VARIANCE + EPSILON)
    r = np.clip(np.sqrt(x.var(0) + EPSILON) / std, 1 / 3, 3)
    d = np.clip((x.mean(0) - MEAN) / std, -5, 5)
    assert (r[0] > 1 / 3, r[0] < 3, r[1], r[2], d[2]) == (True, True, 3, 1 / 3, 5)
    center, square = x.mean(0) - d * x.std(0) / r, x.var(0) / r**2  # as SBX has it
    expected = (x - center) / np.sqrt(square + EPSILON) * SCALE + BIAS
    np.testing.assert_allclose(output, expected, rtol=1e-10)
    np.testing.assert_allclose(stats["var"], 0.9 * VARIANCE + 0.1 * x.var(0), rtol=1e-12)
    np.testing.assert_allclose(stats["mean"], 0.9 * MEAN + 0.1 * x.mean(0), rtol=1e-12)
    assert stats["steps"] == 1


@pytest.mark.usefixtures("x64")
def test_batch_renormalization_is_batch_normalization_until_it_is_warm(batch):
    plain, renorm = normalization(BatchNorm), normalization(BatchRenorm, warmup=2)
    expected, _ = in_training(*plain, batch)
    module, variables = renorm
    for steps in range(3):
        stats = {**variables["batch_stats"], "steps": jnp.asarray(steps)}
        output, _ = in_training(module, {**variables, "batch_stats": stats}, batch)
        assert np.allclose(output, expected) == (steps < 2)


@pytest.mark.usefixtures("x64")
def test_the_bounds_of_renormalization_are_not_differentiated(batch):
    module, variables = normalization(BatchRenorm)

    def first(x, by):
        """One output of `x`, with r and d of `by`."""
        std = jnp.sqrt(VARIANCE + EPSILON)
        r = jnp.clip(jnp.sqrt(by.var(0) + EPSILON) / std, 1 / 3, 3)
        d = jnp.clip((by.mean(0) - MEAN) / std, -5, 5)
        center, square = x.mean(0) - d * x.std(0) / r, x.var(0) / r**2
        return ((x - center) / jnp.sqrt(square + EPSILON) * SCALE)[0, 0]

    expected = jax.grad(first)(batch, batch)
    found = jax.grad(lambda x: in_training(module, variables, x)[0][0, 0])(batch)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("warmup", [0, 9])
def test_a_feature_that_does_not_vary_leaves_the_derivative_finite(warmup):
    module = BatchRenorm(BatchNormSettings(0.99, 1e-3, warmup), True, jnp.float32)
    variables = module.init(KEY, jnp.zeros((4, 3)))

    def loss(x):
        return jnp.sum(module.apply(variables, x, mutable=["batch_stats"])[0])

    assert np.isfinite(jax.grad(loss)(jnp.ones((4, 3)))).all()


def test_a_large_mean_costs_batch_normalization_no_digits():
    x = jnp.asarray([[1000.1], [1000.2], [1000.3]], jnp.float32)
    module = BatchNorm(BatchNormSettings(0.99, 1e-12, 0), True, jnp.float32)
    variables = module.init(KEY, x)
    output, _ = module.apply(variables, x, mutable=["batch_stats"])
    exact = np.asarray(x, np.float64)
    expected = (exact - exact.mean()) / exact.std()
    np.testing.assert_allclose(output, expected, atol=0.01)


# Bodies


def random_variables(module, x):
    """With nothing left at zero or one; running variances stay positive."""
    leaves, structure = jax.tree.flatten(module.init(KEY, x))
    rng = np.random.default_rng(0)
    drawn = [
        x if x.dtype == jnp.int32 else rng.uniform(0.2, 1, x.shape) - 0.5 * (x.ndim > 1)
        for x in leaves
    ]
    return jax.tree.unflatten(structure, [jnp.asarray(x) for x in drawn])


class Layers:
    """The layers of a body in NumPy, in the order in which they are called."""

    def __init__(self, variables):
        self.params, self.stats = variables["params"], variables.get("batch_stats", {})
        self.counts = {}

    def next(self, kind):
        number = self.counts.get(kind, 0)
        self.counts[kind] = number + 1
        return f"{kind}_{number}"

    def dense(self, x):
        layer = self.params[self.next("Dense")]
        return x @ layer["kernel"] + layer.get("bias", 0)

    def batch_norm(self, x, kind="BatchNorm", epsilon=1e-5):
        name = self.next(kind)
        layer, stats = self.params[name], self.stats[name]
        x = (x - stats["mean"]) / np.sqrt(stats["var"] + epsilon)
        return layer["scale"] * x + layer["bias"]

    def rms_norm(self, x):
        x = x / np.sqrt(np.mean(x**2, -1, keepdims=True) + 1e-6)
        return x * self.params[self.next("RMSNorm")]["scale"]


def relu(x):
    return np.maximum(x, 0)


def body_of(**choices):
    settings = config_with(**choices).critic_settings
    return BODIES[settings.body](settings, 3, jnp.float64)


@pytest.mark.usefixtures("x64")
def test_an_inverted_residual_body_agrees_with_numpy():
    body = body_of(
        body="inverted_residual", normalization="batch", normalize_inputs=True,
        hidden_biases=False, hidden_sizes=(4, 4),
    )  # fmt: skip
    x = jnp.asarray(np.random.default_rng(1).normal(size=(5, 3)))
    variables = random_variables(body, x)
    assert [name for name, p in variables["params"].items() if "bias" in p and "kernel" in p] == [
        "Dense_5"
    ]
    layers = Layers(variables)
    h = layers.dense(layers.batch_norm(x))
    for _ in range(2):
        inside = relu(layers.batch_norm(layers.dense(h)))
        assert inside.shape == (5, 16)
        h = h + relu(layers.batch_norm(layers.dense(inside)))
    expected = layers.dense(layers.rms_norm(h))
    np.testing.assert_allclose(apply(body, variables, x), expected, rtol=1e-9)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("position", ["before", "after"])
def test_normalization_comes_before_or_after_the_activation_and_first_of_all(position):
    body = body_of(
        normalization="batch_renorm", normalization_position=position, normalize_inputs=True,
        hidden_sizes=(4, 4),
    )  # fmt: skip
    x = jnp.asarray(np.random.default_rng(1).normal(size=(5, 3)) - 0.5)
    variables = random_variables(body, x)
    layers = Layers(variables)
    h = layers.batch_norm(x, "BatchRenorm")
    for _ in range(2):
        h = layers.dense(h)
        if position == "before":
            h = relu(layers.batch_norm(h, "BatchRenorm"))
        else:
            h = layers.batch_norm(relu(h), "BatchRenorm")
    np.testing.assert_allclose(apply(body, variables, x), layers.dense(h), rtol=1e-9)


@pytest.mark.usefixtures("x64")
def test_dropout_comes_before_normalization_and_only_with_a_key():
    size = 8
    body = body_of(hidden_sizes=(size,), normalization="layer", critic_dropout_rate=0.25)
    x = jnp.ones((20, 3))
    variables = body.init(KEY, x)
    ones = jax.tree.map(jnp.ones_like, variables["params"])
    ones["Dense_0"]["kernel"] *= 0  # each unit is 1, and 1 / 0.75 or 0 after dropout
    ones["LayerNorm_0"]["bias"] *= 0
    variables = {"params": ones}
    np.testing.assert_allclose(apply(body, variables, x), 1, atol=1e-6)
    possible = []
    for left in range(size + 1):
        units = np.array([1 / 0.75] * left + [0] * (size - left))
        normal = (units - units.mean()) / np.sqrt(units.var() + 1e-6)
        possible.append(relu(normal).sum() + 1)
    found = np.asarray(apply(body, variables, x, key=KEY))[:, 0]
    distance = np.abs(found[:, None] - np.array(possible))
    assert distance.min(1).max() < 1e-6
    assert len(set(distance.argmin(1).tolist())) > 2
    other, _ = apply_in_training(body, variables, jax.random.key(1), x)
    assert not np.allclose(found, other[:, 0])


# Projection


@pytest.mark.usefixtures("x64")
def test_scale_and_shift_come_together_to_the_root_of_their_number():
    rng = np.random.default_rng(0)
    params = {
        "BatchNorm_0": {"scale": rng.normal(size=(2, 5)), "bias": rng.normal(size=(2, 5))},
        "RMSNorm_0": {"scale": rng.normal(size=(2, 3))},
        "Dense_0": {"kernel": rng.normal(size=(2, 4, 5)), "bias": rng.normal(size=(2, 5))},
    }
    found = unit_norm_affine({"VmapMLP_0": jax.tree.map(jnp.asarray, params)})["VmapMLP_0"]
    for critic in range(2):
        norm = params["BatchNorm_0"]
        factor = np.sqrt(
            5 / (np.sum(norm["scale"][critic] ** 2) + np.sum(norm["bias"][critic] ** 2))
        )
        for name in ("scale", "bias"):
            np.testing.assert_allclose(
                found["BatchNorm_0"][name][critic], factor * norm[name][critic], rtol=1e-12
            )
        scale = params["RMSNorm_0"]["scale"][critic]
        expected = np.sqrt(3) * scale / np.linalg.norm(scale)
        np.testing.assert_allclose(found["RMSNorm_0"]["scale"][critic], expected, rtol=1e-12)
        kernel = params["Dense_0"]["kernel"][critic]
        for unit in range(5):
            expected = kernel[:, unit] / np.linalg.norm(kernel[:, unit])
            np.testing.assert_allclose(
                found["Dense_0"]["kernel"][critic, :, unit], expected, rtol=1e-12
            )
    np.testing.assert_array_equal(found["Dense_0"]["bias"], params["Dense_0"]["bias"])
