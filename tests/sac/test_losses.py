import math

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from examples import (
    ACTOR_PARAMS,
    ALPHA,
    CONSTANTS,
    GAMMA,
    REWARD,
    UNUSED_KEY,
    actor_loss,
    assert_close,
    constant_batch,
    log_prob_at_the_mean,
    make_agent,
    make_batch,
    noise_of,
    of,
)

import jaxsac
from jaxsac.sac.critics import TargetedCritics
from jaxsac.sac.losses import ESTIMATORS, alpha_loss, critic_loss


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("estimator", "num_samples", "num_critics", "value_network"),
    [
        ("total", 1, 2, False),
        ("path", 1, 3, False),
        ("score", 1, 2, False),
        ("total", 4, 2, False),
        ("score", 3, 3, False),
        ("total", 2, 3, True),
    ],
)
def test_every_state_leaf_and_metric_follows_a_float64_numpy_oracle(
    estimator, num_samples, num_critics, value_network
):
    # A narrow range of log std, so that some of the batch is clipped and some is not.
    config = jaxsac.Config(
        hidden_sizes=(16, 16),
        num_critics=num_critics,
        value_network=value_network,
        actor_gradient=estimator,
        actor_samples=num_samples,
        log_std_min=-0.7,
        log_std_max=0.4,
    )
    state = make_agent(config=config, target_entropy=-1.5)
    expected = oracle.from_state(state)
    hyper = jax.tree.map(float, state.hyperparameters)
    for step in range(5):
        batch, key = make_batch(step), jax.random.key(100 + step)
        state, metrics = jaxsac.update(state, batch, key)
        expected, expected_metrics = oracle.update(
            expected, jax.tree.map(np.asarray, batch), *noise_of(key, num_samples), hyper,
            (-0.7, 0.4), estimator,
        )  # fmt: skip
        assert_close(oracle.from_state(state), expected, rtol=1e-7, atol=1e-9)
        assert_close(dict(metrics), expected_metrics, rtol=1e-9, atol=1e-12)
        assert int(state.step) == step + 1


@pytest.mark.parametrize("discount", [0.0, 1.0, 0.81])
def test_target_bootstraps_from_the_lowest_target_critic_as_far_as_discount_says(discount):
    predictions, targets = jnp.array([1.0, 2.0, 4.0]), jnp.array([-3.0, 7.0, -2.0])
    critics = TargetedCritics(predictions, (), {}, targets)
    loss, (info, _) = critic_loss(
        predictions, CONSTANTS, critics, of(ACTOR_PARAMS), ALPHA, GAMMA, constant_batch(discount),
        jnp.zeros((4, 1)), UNUSED_KEY,
    )  # fmt: skip
    soft_value = -3.0 - ALPHA * log_prob_at_the_mean()
    target = REWARD + GAMMA * discount * soft_value
    np.testing.assert_allclose(info["target_mean"], target, rtol=1e-6)
    np.testing.assert_allclose(info["q_mean"], 7 / 3, rtol=1e-6)
    np.testing.assert_allclose(loss, 0.5 * sum((q - target) ** 2 for q in (1, 2, 4)), rtol=1e-6)


def test_a_terminated_transition_ignores_what_follows_and_a_truncated_one_does_not():
    state, batch = make_agent(), make_batch()
    other = batch._replace(next_observation=batch.next_observation + 1)
    key = jax.random.key(0)

    def target_mean(batch, discount):
        batch = batch._replace(discount=jnp.full_like(batch.discount, discount))
        return float(jaxsac.update(state, batch, key)[1].target_mean)

    assert target_mean(batch, 0) == target_mean(other, 0)
    np.testing.assert_allclose(target_mean(batch, 0), np.mean(batch.reward), rtol=1e-6)
    assert target_mean(batch, 1) != target_mean(other, 1)


@pytest.mark.parametrize("estimator", list(ESTIMATORS))
@pytest.mark.parametrize("num_samples", [1, 3])
def test_actor_loss_is_the_temperature_times_log_prob_minus_the_lowest_q(estimator, num_samples):
    loss, info = actor_loss(
        ACTOR_PARAMS, CONSTANTS, jnp.array([3.0, 2.0]), ALPHA, jnp.ones((4, 1)),
        jnp.zeros((num_samples, 4, 1)), estimator,
    )  # fmt: skip
    np.testing.assert_allclose(loss, ALPHA * log_prob_at_the_mean() - 2.0, rtol=1e-6)
    np.testing.assert_allclose(info["entropy"], -log_prob_at_the_mean(), rtol=1e-6)


@pytest.mark.parametrize("log_alpha", [-8.0, 0.0, 3.0])
def test_alpha_gradient_is_the_entropy_gap_whatever_alpha_is(log_alpha):
    gradient = jax.grad(lambda x: alpha_loss(x, jnp.float32(-1.25), jnp.float32(-2.0))[0])
    assert gradient(log_alpha) == 0.75


@pytest.mark.parametrize("log_alpha", [-8.0, 0.0, 3.0])
def test_in_alpha_itself_the_gradient_shrinks_and_grows_with_it(log_alpha):
    loss = lambda x: alpha_loss(x, jnp.float32(-1.25), jnp.float32(-2.0), "alpha")[0]  # noqa: E731
    value, gradient = jax.value_and_grad(loss)(log_alpha)
    np.testing.assert_allclose([value, gradient], 0.75 * math.exp(log_alpha), rtol=1e-6)


@pytest.mark.parametrize("gap", [-0.5, 0.5])
def test_alpha_rises_below_the_target_entropy_and_falls_above_it(gap):
    key, batch = jax.random.key(0), make_batch()
    _, metrics = jaxsac.update(make_agent(), batch, key)
    state = make_agent(target_entropy=float(metrics.entropy) - gap)
    after, _ = jaxsac.update(state, batch, key)
    # The first step of Adam has the size of the learning rate.
    np.testing.assert_allclose(
        after.temperature.params - state.temperature.params, -math.copysign(0.03, gap), rtol=1e-4
    )
