"""Optimizers and schedules, against the formulas of their papers in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import FAST, config_with

from jaxsac.sac.optimize import make_optimizer, scheduled

pytestmark = pytest.mark.usefixtures("x64")

PARAMS = {"Dense_0": {"kernel": jnp.array([[3.0, -1.0]]), "bias": jnp.array([0.5, 2.0])}}
GRADIENTS = [
    {"Dense_0": {"kernel": jnp.array([[0.4, -2.0]]), "bias": jnp.array([0.1, 1.5])}},
    {"Dense_0": {"kernel": jnp.array([[-0.3, 0.2]]), "bias": jnp.array([0.0, 0.1])}},
]


def flat(tree):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])


def steps(network, config, hyper):
    """The parameters before and after each of two steps."""
    optimizer = make_optimizer(network, config, hyper)
    trained, found = optimizer.start({"params": PARAMS}), [flat(PARAMS)]
    params, state = trained.params, trained.opt_state
    for gradient in GRADIENTS:
        updates, state = optimizer.transform.update(gradient, state, params)
        params = jax.tree.map(jnp.add, params, updates)
        found.append(flat(params))
    return found


def adam(gradients, rates, b1=0.9, b2=0.999, eps=1e-8, decay=0.0):
    """Algorithm 2 of Loshchilov & Hutter 2019."""
    params, first, second = flat(PARAMS), 0.0, 0.0
    found = [params]
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        first = b1 * first + (1 - b1) * g
        second = b2 * second + (1 - b2) * g**2
        step = (first / (1 - b1**t)) / (np.sqrt(second / (1 - b2**t)) + eps)
        params = params - rate * (step + decay * params)
        found.append(params)
    return found


def test_adamw_has_its_own_constants_and_takes_off_a_part_of_each_parameter():
    hyper = FAST.replace(adam_b1=0.5, adam_b2=0.7, adam_eps=0.01, weight_decay=0.3)
    expected = adam(map(flat, GRADIENTS), (0.01, 0.01), 0.5, 0.7, 0.01, 0.3)
    found = steps("actor", config_with(optimizer="adamw"), hyper)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_adam_and_the_temperature_go_without_them():
    hyper = FAST.replace(adam_b1=0.5, weight_decay=0.3, max_gradient_norm=0.1)
    gradients = [flat(g) for g in GRADIENTS]
    np.testing.assert_allclose(
        steps("critic", config_with(), hyper), adam(gradients, (0.02, 0.02)), rtol=1e-12
    )
    found = steps("alpha", config_with(optimizer="adamw", clip_gradients=True), hyper)
    np.testing.assert_allclose(found, adam(gradients, (0.03, 0.03)), rtol=1e-12)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_gradients_are_cut_to_a_norm_over_all_parameters(optimizer):
    config = config_with(clip_gradients=True, optimizer=optimizer)
    first, second = map(flat, GRADIENTS)
    assert np.linalg.norm(second) < 1 < np.linalg.norm(first)
    expected = adam([first / np.linalg.norm(first), second], (0.02, 0.02))
    np.testing.assert_allclose(steps("critic", config, FAST), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "quarter"), [("linear", 0.875), ("cosine", 0.5 + 0.25 * (1 + np.cos(np.pi / 4)))]
)
def test_learning_rates_go_to_their_end_and_stay_there(name, quarter):
    hyper = FAST.replace(final_lr_scale=0.5, schedule_updates=8.0)
    rate = scheduled(name, 0.1, hyper)
    found = [float(rate(count)) for count in (0, 2, 4, 8, 9, 80)]
    np.testing.assert_allclose(found, np.array([1, quarter, 0.75, 0.5, 0.5, 0.5]) / 10, rtol=1e-9)
    # One step in four updates: the schedule is over in a quarter of the steps.
    found = [float(scheduled(name, 0.1, hyper, every=4)(count)) for count in (0, 1, 2, 3)]
    np.testing.assert_allclose(found, np.array([1, 0.75, 0.5, 0.5]) / 10, rtol=1e-9)


@pytest.mark.parametrize(("network", "rate"), [("actor", 0.01), ("critic", 0.02), ("alpha", 0.03)])
def test_every_optimizer_follows_the_schedule_by_its_own_steps(network, rate):
    hyper = FAST.replace(schedule_updates=4.0)
    config = config_with(lr_schedule="linear", actor_every=2)
    rates = (rate, rate * (0.75 if network == "critic" else 0.5))
    expected = adam(map(flat, GRADIENTS), rates)
    np.testing.assert_allclose(steps(network, config, hyper), expected, rtol=1e-12)
