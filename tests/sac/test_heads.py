"""Heads and pessimisms, against loops in NumPy written from the papers' formulas, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsac.sac.heads import Categorical, Quantile, Scalar
from jaxsac.sac.losses import distance_to_target
from jaxsac.sac.pessimism import PESSIMISMS, PessimismSettings

pytestmark = pytest.mark.usefixtures("x64")

E, B, N, BOUND = 3, 5, 7, 2.0
ATOMS = np.linspace(-BOUND, BOUND, N)
REWARD = np.array([0.3, -1.1, 4.0, 0.5, 0.0])
DISCOUNT = np.array([0.9, 0.9, 0.9, 0.0, 1.0])  # one that has terminated, one that stays in place
COST = np.array([0.2, -0.4, 0.1, 3.0, 0.0])
KEY = jax.random.key(0)


def outputs(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def softmax(x):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def test_the_distance_of_quantiles_is_the_huber_quantile_loss():
    prediction, target = outputs(E, B, N), 2 * outputs(B, 4, seed=1)
    weight = np.array([1.0, 0.5, 2.0, 0.0, 1.0])
    expected = 0.0
    for i in range(E):
        for b in range(B):
            pairs = []
            for j in range(N):
                level = (2 * j + 1) / (2 * N)
                for k in range(4):
                    delta = target[b, k] - prediction[i, b, j]
                    huber = delta**2 / 2 if abs(delta) <= 1 else abs(delta) - 0.5
                    pairs.append((1 - level if delta < 0 else level) * huber)
            expected += weight[b] * np.mean(pairs) / B
    found = Quantile(N).distance(*map(jnp.asarray, (prediction, target, weight)))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_each_quantile_of_the_next_state_is_backed_up():
    output = outputs(B, N)
    target = Quantile(N).backup(*map(jnp.asarray, (REWARD, DISCOUNT, output, COST)))
    for b in range(B):
        for k in range(N):
            expected = REWARD[b] + DISCOUNT[b] * (output[b, k] - COST[b])
            np.testing.assert_allclose(target[b, k], expected, rtol=1e-12)
    np.testing.assert_allclose(Quantile(N).target_value(target), target.mean(-1))
    np.testing.assert_allclose(Quantile(N).value(jnp.asarray(output)), output.mean(-1))


def test_atoms_that_have_moved_are_shared_by_their_neighbours():
    output = outputs(B, N)
    found = Categorical(N, BOUND).backup(*map(jnp.asarray, (REWARD, DISCOUNT, output, COST)))
    expected, probs = np.zeros((B, N)), softmax(output)
    for b in range(B):
        for k in range(N):  # algorithm 1 of C51
            moved = REWARD[b] + DISCOUNT[b] * (ATOMS[k] - COST[b])
            place = (np.clip(moved, -BOUND, BOUND) + BOUND) / (2 * BOUND / (N - 1))
            lower, upper = int(np.floor(place)), int(np.ceil(place))
            if lower == upper:
                expected[b, lower] += probs[b, k]
            else:
                expected[b, lower] += probs[b, k] * (upper - place)
                expected[b, upper] += probs[b, k] * (place - lower)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(found.sum(-1), 1)
    np.testing.assert_allclose(found[4], probs[4], atol=1e-12)
    # Where nothing is clipped the mean is that of the Bellman target.
    inside = Categorical(N, 50.0)
    wide = inside.backup(*map(jnp.asarray, (REWARD, 0.5 * DISCOUNT, output, COST)))
    mean = REWARD + 0.5 * DISCOUNT * (probs @ np.linspace(-50, 50, N) - COST)
    np.testing.assert_allclose(inside.target_value(wide), mean, rtol=1e-10)


def test_the_distance_of_atoms_is_the_cross_entropy_and_their_value_the_mean():
    prediction, target = outputs(E, B, N), softmax(outputs(B, N, seed=1))
    weight = np.array([1.0, 0.5, 2.0, 0.0, 1.0])
    expected = -sum(
        weight[b] * np.sum(target[b] * np.log(softmax(prediction[i, b]))) / B
        for i in range(E)
        for b in range(B)
    )
    head = Categorical(N, BOUND)
    found = head.distance(*map(jnp.asarray, (prediction, target, weight)))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(head.value(jnp.asarray(prediction)), softmax(prediction) @ ATOMS)


@pytest.mark.parametrize("head", [Quantile(N), Categorical(N, BOUND)])
def test_the_mean_of_distributions_has_the_mean_of_their_values(head):
    output = jnp.asarray(outputs(E, B, N))
    mixed = PESSIMISMS["mean"](head, output, KEY, PessimismSettings())
    assert mixed.shape == (B, N)
    np.testing.assert_allclose(head.value(mixed), np.mean(head.value(output), 0), rtol=1e-12)


def test_a_mixture_of_atoms_is_the_mean_of_probabilities():
    output = outputs(E, B, N)
    mixed = softmax(Categorical(N, BOUND).mean(jnp.asarray(output)))
    np.testing.assert_allclose(mixed, softmax(output).mean(0), rtol=1e-12)


@pytest.mark.parametrize("head", [Quantile(N), Categorical(N, BOUND)])
def test_the_minimum_of_distributions_is_that_of_the_lowest_mean_for_each_transition(head):
    output = jnp.asarray(outputs(E, B, N))
    lowest = np.argmin(head.value(output), axis=0)
    assert len(set(lowest.tolist())) > 1
    found = PESSIMISMS["minimum"](head, output, KEY, PessimismSettings())
    for b in range(B):
        np.testing.assert_array_equal(found[b], output[lowest[b], b])


def test_the_derivative_of_the_minimum_is_that_of_one_critic_also_where_two_are_equal():
    """A derivative that shares it out, as `jnp.min`'s, is 0/0 once a value is rounded twice."""

    def total(outputs):
        return jnp.sum(PESSIMISMS["minimum"](Scalar(), outputs, KEY, PessimismSettings()))

    outputs = jnp.array([[1.0, 2.0, 3.0, jnp.inf], [1.0, 1.0, 4.0, 0.0]])
    value, derivative = jax.value_and_grad(total)(outputs)
    assert value == 1 + 1 + 3 + 0
    np.testing.assert_array_equal(derivative, [[1, 0, 1, 0], [0, 1, 0, 1]])
    assert jnp.isnan(total(outputs.at[0, 1].set(jnp.nan)))


def test_a_truncated_pool_has_the_lowest_quantiles_of_all_critics():
    output = outputs(E, B, N)
    found = PESSIMISMS["truncated"](
        Quantile(N), jnp.asarray(output), KEY, PessimismSettings(dropped_quantiles=2)
    )
    for b in range(B):
        pool = sorted(output[i, b, j] for i in range(E) for j in range(N))
        np.testing.assert_array_equal(found[b], pool[: E * N - 2 * E])


def test_a_random_subset_is_drawn_for_the_batch_and_every_pair_may_be():
    output, subset = jnp.asarray(outputs(4, 6)), PessimismSettings(subset_size=2)
    pairs = {
        (i, j): tuple(np.minimum(output[i], output[j]).tolist()) for i in range(4) for j in range(i)
    }
    draw = jax.jit(lambda key: PESSIMISMS["random_subset"](Scalar(), output, key, subset))
    drawn = {tuple(draw(key).tolist()) for key in jax.random.split(KEY, 60)}
    assert drawn == set(pairs.values())


def test_metrics_of_distributions_are_means_of_values():
    prediction, target = jnp.asarray(outputs(E, B, N)), jnp.asarray(softmax(outputs(B, N, seed=1)))
    _, info = distance_to_target(Categorical(N, BOUND), prediction, target, None)
    np.testing.assert_allclose(info.target_mean, np.mean(target @ ATOMS), rtol=1e-12)
    np.testing.assert_allclose(info.q_mean, np.mean(softmax(prediction) @ ATOMS), rtol=1e-12)
