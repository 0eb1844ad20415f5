import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from jaxsac.sac import distributions
from jaxsac.sac.distributions import TanhNormal, mode

pytestmark = pytest.mark.usefixtures("all_optimizations")

log_tanh_derivative = jax.jit(distributions.log_tanh_derivative)
sample_and_log_prob = jax.jit(distributions.sample_and_log_prob)

MAGNITUDES = [1e-4, 1e-2, 0.5, 1.0, 4.0, 8.0, 8.5, 9.5, 20.0, 50.0, 88.0, 100.0]
PRE_TANH = np.array([0.0, *MAGNITUDES, *(-x for x in MAGNITUDES)], np.float32)


def exact_log_tanh_derivative(u):
    with mpmath.workdps(150):
        return mpmath.log(1 - mpmath.tanh(mpmath.mpf(float(u))) ** 2)


def exact_log_prob(noise, mean, log_std):
    """Of one action dimension, from the float32 arguments as they are."""
    with mpmath.workdps(150):
        noise, mean, log_std = (mpmath.mpf(float(x)) for x in (noise, mean, log_std))
        log_normal = -(noise**2) / 2 - log_std - mpmath.log(2 * mpmath.pi) / 2
        return log_normal - exact_log_tanh_derivative(mean + mpmath.exp(log_std) * noise)


@jax.jit
def scalar_log_prob(noise, mean, log_std):
    policy = TanhNormal(jnp.stack([mean]), jnp.stack([log_std]))
    return sample_and_log_prob(jnp.stack([noise]), policy)[1]


def test_log_tanh_derivative_agrees_with_mpmath_in_float32():
    expected = [float(exact_log_tanh_derivative(u)) for u in PRE_TANH]
    np.testing.assert_allclose(log_tanh_derivative(PRE_TANH), expected, rtol=1e-5, atol=1e-6)


def test_gradient_of_log_tanh_derivative_is_minus_two_tanh():
    u = np.append(PRE_TANH, np.float32([1e4, -1e4]))
    gradient = jax.vmap(jax.grad(log_tanh_derivative))(u)
    np.testing.assert_allclose(gradient, -2 * np.tanh(u.astype(float)), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("log_std", [-10.0, -1.5, 0.0, 2.0])
def test_log_prob_agrees_with_mpmath_in_float32(log_std):
    for noise in (-3.0, 0.1, 2.0):
        policy = TanhNormal(jnp.array(PRE_TANH)[:, None], jnp.full((len(PRE_TANH), 1), log_std))
        _, log_prob = sample_and_log_prob(jnp.full((len(PRE_TANH), 1), noise), policy)
        expected = [float(exact_log_prob(np.float32(noise), m, log_std)) for m in PRE_TANH]
        np.testing.assert_allclose(log_prob, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (0.7, -1.0), (-1.5, 0.5), (2.0, -4.0)])
def test_density_integrates_to_one_over_the_actions(mean, log_std):
    noise = jnp.linspace(-9, 9, 100_001)[:, None]
    policy = TanhNormal(jnp.full_like(noise, mean), jnp.full_like(noise, log_std))
    action, log_prob = sample_and_log_prob(noise, policy)
    assert np.trapezoid(np.exp(log_prob), action[:, 0]) == pytest.approx(1, abs=1e-6)


def test_log_prob_is_the_sum_over_independent_dimensions():
    noise, mean, log_std = jnp.array([[0.3, -1.2], [0.5, 1.0], [-0.2, 0.4]])
    _, joint = sample_and_log_prob(noise, TanhNormal(mean, log_std))
    alone = [scalar_log_prob(*x) for x in zip(noise, mean, log_std, strict=True)]
    np.testing.assert_allclose(joint, sum(alone), rtol=1e-6)


def test_a_tiny_std_keeps_the_noise_exactly():
    # (u - mean) / std would have lost it: the float32 spacing at 3 is half a percent of this std.
    for noise in (-2.5, -0.3, 1.7):
        expected = float(exact_log_prob(np.float32(noise), 3.0, -10.0))
        value, gradient = jax.value_and_grad(
            lambda density, noise=noise: sample_and_log_prob(
                jnp.array([noise]), TanhNormal(jnp.array([3.0]), jnp.array([-10.0])), density
            )[1]
        )(TanhNormal(jnp.array([3.0]), jnp.array([-10.0])))
        assert value == pytest.approx(expected, rel=1e-6)
        assert gradient.mean[0] == pytest.approx(noise * math.exp(10), rel=1e-5)
        assert gradient.log_std[0] == pytest.approx(noise**2 - 1, rel=1e-5)


def test_extreme_policies_have_finite_log_prob_and_gradients():
    extremes = np.meshgrid([-6.0, 0.0, 6.0], [-1e3, 0.0, 1e3], [-10.0, 2.0])
    noise, mean, log_std = (np.float32(x).ravel() for x in extremes)
    value_and_gradients = jax.vmap(jax.value_and_grad(scalar_log_prob, argnums=(1, 2)))
    value, gradients = value_and_gradients(noise, mean, log_std)
    assert np.isfinite([value, *gradients]).all(), (value, gradients)


def test_a_saturated_policy_keeps_the_entropy_gradient_that_the_usual_form_loses():
    for mean in (8.0, 10.0, 30.0):
        gradient = jax.grad(scalar_log_prob, argnums=1)(0.0, jnp.float32(mean), jnp.float32(-1.0))
        assert gradient == pytest.approx(2.0, rel=1e-5)
    usual_form = TanhNormal(jnp.array([10.0]), jnp.array([-1.0]), epsilon=1e-6)
    value, gradient = jax.value_and_grad(
        # Rounded as it is written: a compiler may leave even less of it.
        lambda policy: distributions.sample_and_log_prob(jnp.zeros(1), policy)[1]
    )(usual_form)
    assert value == pytest.approx(1 - math.log(2 * math.pi) / 2 - math.log(1e-6), abs=0.02)
    assert 0 <= gradient.mean[0] < 0.02


def test_actions_stay_in_the_closed_interval_and_the_mode_is_tanh_of_the_mean():
    noise = jax.random.normal(jax.random.key(0), (1000, 3))
    policy = TanhNormal(
        jnp.tile(jnp.array([-50.0, 0.3, 50.0]), (1000, 1)), jnp.full((1000, 3), 2.0)
    )
    action, _ = sample_and_log_prob(noise, policy)
    assert jnp.all(jnp.abs(action) <= 1)
    np.testing.assert_allclose(mode(policy)[0], np.tanh([-50, 0.3, 50]), rtol=1e-6)


def gaussian(phi):
    """A one-parameter policy with mean sin 2φ and std exp(0.3 φ - 0.5)."""
    return TanhNormal(jnp.stack([jnp.sin(2 * phi)]), jnp.stack([0.3 * phi - 0.5]))


def gaussian_log_prob(phi, density_phi, noise):
    """log N(u; φ): the log-probability of the action without the tanh's part."""
    policy, density = gaussian(phi), gaussian(density_phi)
    _, log_prob = sample_and_log_prob(noise, policy, density)
    pre_tanh = policy.mean + jnp.exp(policy.log_std) * noise
    return log_prob + jnp.sum(log_tanh_derivative(pre_tanh))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("epsilon", [-1.3, 0.0, 2.1])
def test_gaussian_score_pathwise_and_total_have_their_closed_forms(epsilon):
    phi, noise = 0.4, jnp.array([epsilon])
    std, d_mean = math.exp(0.3 * phi - 0.5), 2 * math.cos(2 * phi)
    d_std = 0.3 * std
    deviation = std * epsilon
    pathwise, score = jax.grad(gaussian_log_prob, argnums=(0, 1))(phi, phi, noise)
    total = jax.grad(lambda x: gaussian_log_prob(x, x, noise))(phi)
    assert score == pytest.approx(
        -d_std / std + deviation * d_mean / std**2 + deviation**2 * d_std / std**3, abs=1e-12
    )
    assert pathwise == pytest.approx(-deviation / std**2 * (d_mean + epsilon * d_std), abs=1e-12)
    assert total == pytest.approx(-d_std / std, abs=1e-12)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("epsilon", [-1.3, 0.0, 2.1])
def test_squashing_adds_two_tanh_to_the_pathwise_derivative_alone(epsilon):
    phi, noise = 0.4, jnp.array([epsilon])
    std, d_mean = math.exp(0.3 * phi - 0.5), 2 * math.cos(2 * phi)
    d_std = 0.3 * std

    def log_prob(path_phi, density_phi):
        return sample_and_log_prob(noise, gaussian(path_phi), gaussian(density_phi))[1]

    pathwise, score = jax.grad(log_prob, argnums=(0, 1))(phi, phi)
    total = jax.grad(lambda x: sample_and_log_prob(noise, gaussian(x))[1])(phi)
    squashing = 2 * math.tanh(math.sin(2 * phi) + std * epsilon) * (d_mean + epsilon * d_std)
    expected_score = (-d_std + epsilon * d_mean + epsilon**2 * d_std) / std
    expected_pathwise = -epsilon / std * (d_mean + epsilon * d_std) + squashing
    assert score == pytest.approx(expected_score, abs=1e-12)
    assert pathwise == pytest.approx(expected_pathwise, abs=1e-12)
    assert total == pytest.approx(-d_std / std + squashing, abs=1e-12)
