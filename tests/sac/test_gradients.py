import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from examples import CONFIG, assert_close, is_identical, make_agent, make_batch, noise_of

import jaxsac
from jaxsac.sac import networks
from jaxsac.sac.losses import actor_loss
from jaxsac.sac.networks import Networks

PATH = jaxsac.Config(hidden_sizes=(16, 16), actor_gradient="path")
pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(7)
NETWORKS = Networks(
    networks.Actor((16, 16), 2, jax.nn.relu, False, -10.0, 2.0, float),
    networks.Critic((16, 16), 2, jax.nn.relu, False, float),
)


def add(*trees):
    return jax.tree.map(lambda *leaves: sum(leaves), *trees)


def check_terms_sum_to_the_gradient_of_the_actor_loss(rtol, atol):
    state, batch = make_agent(), make_batch()
    terms = jaxsac.gradient_terms(state, batch, KEY)
    _, action_noise = map(jnp.asarray, noise_of(KEY))
    gradient, _ = jax.jit(jax.grad(actor_loss, has_aux=True), static_argnums=1)(
        state.actor_params, NETWORKS, state.critic_params, jnp.exp(state.log_alpha),
        batch.observation, action_noise,
    )  # fmt: skip
    assert_close(terms.total, gradient, rtol, atol)
    assert_close(add(terms.score, terms.entropy_path, terms.q_path), terms.total, rtol, atol)
    for term in terms:
        assert jax.tree.structure(term) == jax.tree.structure(state.actor_params)
        assert all(np.any(leaf != 0) for leaf in jax.tree.leaves(term))


def test_terms_sum_to_the_gradient_of_the_actor_loss_in_float32():
    check_terms_sum_to_the_gradient_of_the_actor_loss(rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("x64")
def test_terms_sum_to_the_gradient_of_the_actor_loss_in_float64():
    check_terms_sum_to_the_gradient_of_the_actor_loss(rtol=1e-12, atol=1e-13)


@pytest.mark.usefixtures("x64")
def test_each_term_agrees_with_backpropagation_by_hand():
    state, batch = make_agent(), make_batch()
    critics = oracle.ensemble_from_params(state.critic_params)
    observation = np.asarray(batch.observation)
    _, action_noise = noise_of(KEY)
    actor = oracle.from_params(state.actor_params)
    action, _, _ = oracle.draw(actor, observation, action_noise, (-10, 2))
    joint = np.concatenate([observation, action], -1)
    q = np.stack([oracle.forward(net, joint)[0] for net in critics])
    assert set(q.argmin(0).flat) == {0, 1}, "both critics take part in the minimum"

    _, _, expected = oracle.actor_terms(
        actor, critics, float(np.exp(state.log_alpha)), observation, action_noise, (-10, 2)
    )
    terms = jaxsac.gradient_terms(state, batch, KEY)
    actual = [oracle.from_params(t) for t in (terms.score, terms.entropy_path, terms.q_path)]
    assert_close(actual, list(expected), rtol=1e-9, atol=1e-12)


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


@pytest.mark.parametrize("config", [CONFIG, PATH], ids=["total", "path"])
def test_the_update_follows_the_chosen_estimator(config):
    state = make_agent(config=config, critic_lr=0.0)
    terms = jaxsac.gradient_terms(state, make_batch(), KEY)
    after, metrics = jaxsac.update(state, make_batch(), KEY)
    gradient = jax.tree.map(lambda mu: 10 * mu, after.actor_opt_state[0].mu)
    if config is PATH:
        expected = jax.tree.map(jnp.subtract, terms.total, terms.score)
    else:
        expected = terms.total
    assert_close(gradient, expected, rtol=1e-5, atol=1e-6)
    norm = np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(expected)))
    np.testing.assert_allclose(metrics.actor_gradient_norm, norm, rtol=1e-5)


def test_the_estimator_changes_the_gradient_and_not_the_loss():
    batch = make_batch()
    total, total_metrics = jaxsac.update(make_agent(), batch, KEY)
    path, path_metrics = jaxsac.update(make_agent(config=PATH), batch, KEY)
    np.testing.assert_allclose(path_metrics.actor_loss, total_metrics.actor_loss, rtol=1e-6)
    np.testing.assert_allclose(path_metrics.entropy, total_metrics.entropy, rtol=1e-6)
    assert not is_identical(path.actor_params, total.actor_params)


def test_terms_do_not_depend_on_the_configured_estimator():
    batch = make_batch()
    assert_close(
        jaxsac.gradient_terms(make_agent(config=PATH), batch, KEY),
        jaxsac.gradient_terms(make_agent(), batch, KEY),
        rtol=1e-6,
        atol=1e-7,
    )
