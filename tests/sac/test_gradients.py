import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from examples import (
    BATCH_SIZE,
    CONFIG,
    actor_loss,
    assert_close,
    is_identical,
    make_agent,
    make_batch,
    module,
    noise_of,
)

import jaxsac
from jaxsac.sac import networks
from jaxsac.sac.losses import ESTIMATORS
from jaxsac.sac.networks import Networks

PATH = jaxsac.Config(hidden_sizes=(16, 16), actor_gradient="path")
FOUR = jaxsac.Config(hidden_sizes=(16, 16), actor_samples=4)
KEY = jax.random.key(7)
NETWORKS = Networks(
    networks.Actor(CONFIG, 2, float), networks.Critic(CONFIG.critic_settings, 2, (), float)
)


def add(*trees):
    return jax.tree.map(lambda *leaves: sum(leaves), *trees)


def check_terms_sum_to_the_gradient_of_the_actor_loss(rtol, atol):
    state, batch = make_agent(), make_batch()
    terms = jaxsac.gradient_terms(state, batch, KEY)
    _, action_noise = map(jnp.asarray, noise_of(KEY))
    gradient, _ = jax.jit(jax.grad(actor_loss, has_aux=True), static_argnums=1)(
        state.actor.params, NETWORKS, state.critic.params, jnp.exp(state.temperature.params),
        batch.observation, action_noise,
    )  # fmt: skip
    assert_close(terms.total, gradient, rtol, atol)
    assert_close(add(terms.score, terms.entropy_path, terms.q_path), terms.total, rtol, atol)
    for term in terms:
        assert jax.tree.structure(term) == jax.tree.structure(state.actor.params)
        assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(term))


def test_terms_sum_to_the_gradient_of_the_actor_loss_in_float32():
    check_terms_sum_to_the_gradient_of_the_actor_loss(rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("x64")
def test_terms_sum_to_the_gradient_of_the_actor_loss_in_float64():
    check_terms_sum_to_the_gradient_of_the_actor_loss(rtol=1e-12, atol=1e-13)


@pytest.mark.usefixtures("x64")
def test_each_term_agrees_with_backpropagation_by_hand():
    state, batch = make_agent(), make_batch()
    critics = oracle.ensemble_from_params(state.critic.params)
    observation = np.asarray(batch.observation)
    _, (action_noise,) = noise_of(KEY)
    actor = oracle.from_params(state.actor.params)
    action, _, _ = oracle.draw(actor, observation, action_noise, (-10, 2))
    joint = np.concatenate([observation, action], -1)
    q = np.stack([oracle.forward(net, joint)[0] for net in critics])
    assert set(q.argmin(0).flat) == {0, 1}, "both critics take part in the minimum"

    _, _, (*expected, _) = oracle.actor_terms(
        actor, critics, float(np.exp(state.temperature.params)), observation, action_noise, (-10, 2)
    )
    terms = jaxsac.gradient_terms(state, batch, KEY)
    actual = [oracle.from_params(t) for t in (terms.score, terms.entropy_path, terms.q_path)]
    assert_close(actual, expected, rtol=1e-9, atol=1e-12)


def rms(tree):
    """Of the sum of squares over all parameters, over the leading axis."""
    flat = np.concatenate([np.reshape(x, (len(x), -1)) for x in jax.tree.leaves(tree)], axis=1)
    return np.sqrt(np.mean(np.sum(flat**2, axis=1)))


def test_batch_mean_of_the_score_vanishes_like_one_over_the_root_of_the_batch_size():
    state, states = make_agent(), make_batch(0, size=8)
    keys = jax.random.split(jax.random.key(3), 64)

    def terms(copies):
        batch = jax.tree.map(lambda x: jnp.concatenate([x] * copies), states)
        return jax.vmap(jaxsac.gradient_terms, (None, None, 0))(state, batch, keys)

    small, large = terms(2), terms(128)
    assert rms(small.score) / rms(large.score) == pytest.approx(np.sqrt(64), rel=0.15)
    # The others have a mean, so they do not vanish.
    for a, b in ((small.entropy_path, large.entropy_path), (small.q_path, large.q_path)):
        assert rms(a) / rms(b) < 4


@pytest.mark.parametrize("config", [CONFIG, PATH, FOUR], ids=["total", "path", "four samples"])
def test_the_update_follows_the_chosen_estimator(config):
    state = make_agent(config=config, critic_lr=0.0)
    terms = jaxsac.gradient_terms(state, make_batch(), KEY)
    after, metrics = jaxsac.update(state, make_batch(), KEY)
    gradient = jax.tree.map(lambda mu: 10 * mu, after.actor.opt_state[0].mu)
    if config is PATH:
        expected = jax.tree.map(jnp.subtract, terms.total, terms.score)
    else:
        expected = terms.total
    assert_close(gradient, expected, rtol=1e-5, atol=1e-6)
    norm = np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(expected)))
    np.testing.assert_allclose(metrics.actor_gradient_norm, norm, rtol=1e-5)


def test_the_estimator_changes_the_gradient_and_not_the_loss():
    state, batch = make_agent(), make_batch()
    (total, total_metrics), *others = (
        jaxsac.update(state.replace(config=with_estimator(name)), batch, KEY)
        for name in list(ESTIMATORS)
    )
    for other, metrics in others:
        np.testing.assert_allclose(metrics.actor_loss, total_metrics.actor_loss, rtol=1e-6)
        np.testing.assert_allclose(metrics.entropy, total_metrics.entropy, rtol=1e-6)
        assert not is_identical(other.actor.params, total.actor.params)


def test_terms_do_not_depend_on_the_configured_estimator():
    state, batch = make_agent(), make_batch()
    assert_close(
        jaxsac.gradient_terms(state.replace(config=PATH), batch, KEY),
        jaxsac.gradient_terms(state, batch, KEY),
        rtol=1e-6,
        atol=1e-7,
    )


def with_estimator(name):
    return dataclasses.replace(CONFIG, actor_gradient=name)


@functools.partial(jax.jit, static_argnames="estimator")
def gradient_of(state, batch, noise, estimator):
    gradient, _ = jax.grad(actor_loss, has_aux=True)(
        state.actor.params, NETWORKS, state.critic.params, jnp.exp(state.temperature.params),
        batch.observation, noise, estimator,
    )  # fmt: skip
    return gradient


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("estimator", list(ESTIMATORS))
def test_the_gradient_of_four_samples_is_the_mean_of_four_gradients_of_one(estimator):
    state, batch = make_agent(), make_batch()
    noise = np.random.default_rng(7).normal(size=(4, BATCH_SIZE, 2))
    four = gradient_of(state, batch, noise, estimator)
    each = [gradient_of(state, batch, noise[k : k + 1], estimator) for k in range(4)]
    assert_close(four, jax.tree.map(lambda *x: np.mean(x, axis=0), *each), rtol=1e-12, atol=1e-14)


@pytest.mark.usefixtures("x64")
def test_the_terms_of_four_samples_are_means_too():
    state, batch = make_agent(config=FOUR), make_batch()
    terms = jaxsac.gradient_terms(state, batch, KEY)
    _, noise = noise_of(KEY, 4)
    expected = gradient_of(state, batch, jnp.asarray(noise), "total")
    assert_close(terms.total, expected, rtol=1e-12, atol=1e-14)
    assert_close(add(terms.score, terms.entropy_path, terms.q_path), expected, 1e-12, 1e-14)


def test_one_sample_draws_the_noise_that_it_always_drew():
    # Two arrays from one draw: the numbers that a seed means must not change.
    state, batch = make_agent(), make_batch()
    action_noise = jax.random.normal(KEY, (2, BATCH_SIZE, 2))[1]
    expected = gradient_of(state, batch, action_noise[None], "total")
    assert_close(jaxsac.gradient_terms(state, batch, KEY).total, expected, 1e-5, 1e-6)


@pytest.mark.usefixtures("x64")
def test_the_estimators_agree_in_the_mean_within_their_standard_errors():
    # The same states and parameters, and noise of its own for each estimator.
    state, batch = make_agent(), make_batch()
    mean_and_error = []
    for seed, estimator in enumerate(list(ESTIMATORS)):
        noise = jax.random.normal(jax.random.key(seed), (4000, 1, BATCH_SIZE, 2))
        each = jax.jit(jax.vmap(lambda n, e=estimator: gradient_of(state, batch, n, e)))(noise)
        flat = np.concatenate([np.reshape(x, (4000, -1)) for x in jax.tree.leaves(each)], axis=1)
        mean_and_error.append((flat.mean(0), flat.std(0) / np.sqrt(4000)))
    alive = np.all([error > 0 for _, error in mean_and_error], axis=0)  # units that fire
    (total, error), *others = ((mean[alive], error[alive]) for mean, error in mean_and_error)
    assert np.mean(np.abs(total) > 4 * error) > 0.5, "there is a mean to agree on"
    for mean, other_error in others:
        z = (mean - total) / np.hypot(error, other_error)
        assert np.abs(z).max() < 5
        assert np.sqrt(np.mean(z**2)) < 1.5


# One dimension, where expectations are sums: nodes and weights of Gauss and Hermite.


def constants(variables, observation):
    """A policy whose mean and log std are the parameters, whatever the state."""
    mean, log_std = variables["params"]
    return jnp.full((len(observation), 1), mean), jnp.full((len(observation), 1), log_std)


def smooth_q(variables, observation, action):
    """Far from zero, as returns are; without a kink, so that sums over nodes converge."""
    return 5 + (jnp.sin(2 * action) - action**2).T


ONE_DIMENSION = Networks(module(constants), module(smooth_q))
ONE_STATE, ALPHA = jnp.zeros((1, 1)), 0.3
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(120)
WEIGHTS = WEIGHTS / np.sqrt(2 * np.pi)


def loss_of_one_sample(params, node, estimator):
    noise = jnp.reshape(node, (1, 1, 1))
    return actor_loss(params, ONE_DIMENSION, {}, ALPHA, ONE_STATE, noise, estimator)[0]


gradient_of_one_sample = jax.grad(loss_of_one_sample)


@functools.partial(jax.jit, static_argnums=(0, 2))
def expectation(function, params, estimator):
    values = jax.vmap(lambda node: function(params, node, estimator))(NODES)
    return WEIGHTS @ values


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("estimator", list(ESTIMATORS))
@pytest.mark.parametrize("params", [(0.3, -0.5), (-0.8, -1.5), (0.0, -0.1)])
def test_the_expectation_of_every_estimator_is_the_gradient_of_the_expectation(estimator, params):
    params, step = jnp.array(params), 1e-5
    differences = [
        expectation(loss_of_one_sample, params + d, estimator)
        - expectation(loss_of_one_sample, params - d, estimator)
        for d in step * np.eye(2)
    ]
    mean = expectation(gradient_of_one_sample, params, estimator)
    np.testing.assert_allclose(mean, np.array(differences) / (2 * step), rtol=1e-8, atol=1e-9)


@pytest.mark.usefixtures("x64")
def test_the_baseline_leaves_the_expectation_and_takes_away_variance():
    mean, log_std = 0.3, -0.5
    u = mean + np.exp(log_std) * NODES
    log_derivative = 2 * (np.log(2) - np.abs(u) - np.log1p(np.exp(-2 * np.abs(u))))
    log_prob = -(NODES**2) / 2 - log_std - np.log(2 * np.pi) / 2 - log_derivative
    objective = ALPHA * log_prob - 5 - np.sin(2 * np.tanh(u)) + np.tanh(u) ** 2
    score = np.stack([NODES / np.exp(log_std), NODES**2 - 1], -1)
    plain = objective[:, None] * score  # the likelihood ratio without a baseline
    params = jnp.array([mean, log_std])
    estimates = jax.jit(jax.vmap(lambda node: gradient_of_one_sample(params, node, "score")))(NODES)
    np.testing.assert_allclose(WEIGHTS @ estimates, WEIGHTS @ plain, rtol=1e-9)
    assert np.all(WEIGHTS @ np.square(estimates) < WEIGHTS @ plain**2)
