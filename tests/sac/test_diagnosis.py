"""A failed update is explained: the cause before its effects."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsac
from jaxsac.sac.diagnosis import explain


@pytest.fixture(scope="module")
def learner():
    observation, action = jnp.zeros(3), jnp.zeros(2)
    state = jaxsac.init(jax.random.key(0), observation, action, jaxsac.Config(hidden_sizes=(8,)))
    rows = np.random.default_rng(0).uniform(-1, 1, (5, 8, 3)).astype(np.float32)
    batch = jaxsac.Transition(rows[0], rows[1, :, :2], rows[2, :, 0], np.ones(8, "f"), rows[3])
    return state, batch


def test_a_finite_update_has_nothing_to_explain(learner):
    assert explain(*learner, jax.random.key(1)) == []


def test_a_nan_in_the_batch_is_found_there_and_the_first_term_it_spoils_named(learner):
    state, batch = learner
    reward = batch.reward.copy()
    reward[[2, 5]] = np.nan
    findings = explain(state, batch._replace(reward=reward), jax.random.key(1))
    assert findings[0] == "batch.reward: 2 of 8 not finite"
    assert findings[1] == "the first term that is not finite: target_mean = nan"
    assert "critic_loss" in findings[2]
    assert "q_mean" not in findings[2]


def test_an_actor_that_rests_is_no_cause(learner):
    state, batch = learner
    config = dataclasses.replace(state.config, actor_every=2, order="actor_first")
    state = state.replace(config=config, step=state.step + 1)
    assert explain(state, batch, jax.random.key(1)) == []
    reward = np.full_like(batch.reward, np.nan)
    findings = explain(state, batch._replace(reward=reward), jax.random.key(1))
    assert findings[1] == "the first term that is not finite: target_mean = nan"


def test_a_broken_network_is_named_by_its_leaf(learner):
    state, batch = learner
    params = jax.tree.map(jnp.array, state.critic.target_params)
    broken = jax.tree.map(lambda x: x.at[(0,) * x.ndim].set(jnp.inf), params)
    findings = explain(
        state.replace(critic=state.critic.replace(target_params=broken)), batch, jax.random.key(1)
    )
    assert all("critic.target_params" in text for text in findings[: len(jax.tree.leaves(params))])


def test_an_overflow_of_finite_numbers_shows_the_largest_of_them(learner):
    state, batch = learner
    observation = batch.observation.copy()
    observation[6, 1] = -1e30
    findings = explain(state, batch._replace(observation=observation), jax.random.key(1))
    assert "batch.observation: up to 1e+30 (row 6)" in findings
    assert "the first term that is not finite: critic_loss = inf" in findings
