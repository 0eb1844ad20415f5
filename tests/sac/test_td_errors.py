"""`td_errors` are what `update` has learned from: its losses are known, and so are their means."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import CONFIG, VALUE, config_with, make_agent, make_batch

import jaxsac
from jaxsac.sac import presets

KEY = jax.random.key(5)
VARIANTS = {
    "plain": CONFIG,
    "with a value network": dataclasses.replace(VALUE, critic_dropout_rate=0.3),
    "dropout": config_with(critic_dropout_rate=0.3),
    "a random subset": config_with(num_critics=4, target_pessimism="random_subset"),
    "quantiles": config_with(head="quantile", target_pessimism="truncated"),
    "one batch": config_with(forward="joint", normalization="batch_renorm"),
    "atoms": config_with(
        head="categorical", forward="joint_with_targets", normalization="batch", value_bound=20.0
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_their_mean_is_that_of_targets_less_predictions_and_their_squares_are_the_loss(name):
    state, batch = make_agent(config=VARIANTS[name]), make_batch()
    weight = jnp.linspace(0, 2, len(batch.reward))
    for number in range(2):  # targets that are not the critics
        state, _ = jaxsac.update(state, batch, jax.random.key(number), weight)
    errors = jaxsac.td_errors(state, batch, KEY)
    _, metrics = jaxsac.update(state, batch, KEY, weight)
    assert errors.shape == (state.config.num_critics, len(batch.reward))
    mean = metrics.target_mean - metrics.q_mean
    assert abs(mean) > 0.01
    np.testing.assert_allclose(errors.mean(), mean, rtol=1e-4, atol=1e-5)
    if state.config.head == "scalar":
        loss = jnp.sum(jnp.mean(0.5 * weight * errors**2, axis=1))
        np.testing.assert_allclose(loss, metrics.critic_loss, rtol=1e-5)


def test_each_is_of_its_own_transition():
    state, batch = make_agent(), make_batch()
    errors = jaxsac.td_errors(state, batch, KEY)
    raised = jaxsac.td_errors(state, batch._replace(reward=batch.reward.at[3].add(1)), KEY)
    np.testing.assert_allclose(raised - errors, np.eye(len(batch.reward))[[3, 3]], atol=1e-5)


def test_images_are_shifted_as_in_an_update():
    image, action = jnp.zeros((16, 16, 1), jnp.uint8), jnp.zeros(1)
    config = config_with(random_shift=2)
    state = jaxsac.init(KEY, image, action, config)
    pixels = np.random.default_rng(0).integers(0, 255, (2, 4, 16, 16, 1), np.uint8)
    batch = jaxsac.Transition(pixels[0], jnp.zeros((4, 1)), jnp.ones(4), jnp.ones(4), pixels[1])
    errors = jaxsac.td_errors(state, batch, KEY)
    _, metrics = jaxsac.update(state, batch, KEY)
    loss = jnp.sum(jnp.mean(0.5 * errors**2, axis=1))
    np.testing.assert_allclose(loss, metrics.critic_loss, rtol=1e-5)


def test_a_group_has_those_of_its_members():
    states = [make_agent(seed) for seed in range(2)]
    batches = [make_batch(seed) for seed in range(2)]
    keys = jax.random.split(KEY, 2)
    group = jax.tree.map(lambda *x: jnp.stack(x), *zip(states, batches, strict=True))
    found = jax.vmap(jaxsac.td_errors)(*group, keys)
    for number in range(2):
        alone = jaxsac.td_errors(states[number], batches[number], keys[number])
        np.testing.assert_allclose(found[number], alone, rtol=1e-5, atol=1e-6)


def test_of_flashsac_they_are_those_of_an_update_in_which_the_actor_rests():
    flashsac = presets.preset("flashsac").config
    config = config_with(**{
        name: getattr(flashsac, name)
        for name in ("body", "normalization", "head", "forward", "order", "actor_every")
    })  # fmt: skip
    state, batch = make_agent(config=config), make_batch()
    state, _ = jaxsac.update(state, batch, jax.random.key(0), actor_due=jnp.asarray(True))
    errors = jaxsac.td_errors(state, batch, KEY)
    _, metrics = jaxsac.update(state, batch, KEY, actor_due=jnp.asarray(False))
    np.testing.assert_allclose(errors.mean(), metrics.target_mean - metrics.q_mean, atol=1e-5)
