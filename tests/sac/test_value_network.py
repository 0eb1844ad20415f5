"""SAC as first published: a value network and its target instead of target critics."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import (
    ACTOR_PARAMS,
    ALPHA,
    CONSTANTS,
    GAMMA,
    REWARD,
    UNUSED_KEY,
    VALUE,
    assert_identical,
    constant,
    constant_batch,
    is_identical,
    log_prob_at_the_mean,
    make_agent,
    make_batch,
    of,
)

import jaxsac
from jaxsac.sac.diagnosis import explain
from jaxsac.sac.value_network import CriticsWithValue, Value, value_critic_loss, value_loss

KEY = jax.random.key(5)
MODULE = constant(lambda p, s: jnp.full(len(s), p))


@pytest.fixture(scope="module")
def agent():
    return make_agent(config=VALUE)


def test_the_value_is_drawn_to_the_lowest_q_and_the_entropy_of_the_policy():
    value = jnp.float32(1.5)
    loss, (info, _) = value_loss(
        value, MODULE, CONSTANTS, of(value), of(jnp.array([3.0, 2.0])), of(ACTOR_PARAMS), ALPHA,
        jnp.ones((4, 1)), jnp.zeros((4, 1)), UNUSED_KEY,
    )  # fmt: skip
    target = 2.0 - ALPHA * log_prob_at_the_mean()
    np.testing.assert_allclose(loss, 0.5 * (1.5 - target) ** 2, rtol=1e-5)
    assert info["value_mean"] == 1.5


@pytest.mark.parametrize("discount", [0.0, 1.0, 0.81])
def test_critics_bootstrap_from_the_target_value_as_far_as_discount_says(discount):
    predictions, target_value = jnp.array([1.0, 2.0, 4.0]), jnp.float32(-3.0)
    critics = CriticsWithValue(predictions, (), {}, of(jnp.float32(0)), target_value)
    loss, (info, _) = value_critic_loss(
        predictions, MODULE, CONSTANTS, critics, GAMMA, constant_batch(discount), UNUSED_KEY
    )
    target = REWARD + GAMMA * discount * -3.0
    np.testing.assert_allclose(info["target_mean"], target, rtol=1e-6)
    np.testing.assert_allclose(info["q_mean"], 7 / 3, rtol=1e-6)
    np.testing.assert_allclose(loss, 0.5 * sum((q - target) ** 2 for q in (1, 2, 4)), rtol=1e-6)


def test_it_starts_with_the_actor_and_critics_of_an_agent_without_and_its_target_at_the_value(
    agent,
):
    without = make_agent()
    assert_identical(agent.actor.params, without.actor.params)
    assert_identical(agent.critic.params, without.critic.params)
    assert_identical(agent.critic.target_value_params, agent.critic.value.params)
    other = make_agent(1, VALUE).critic
    assert isinstance(other, CriticsWithValue)
    assert not is_identical(other.value.params, agent.critic.value.params)


def test_each_kind_of_agent_holds_its_own_target_alone(agent):
    without, batch = make_agent(), make_batch()
    assert not hasattr(without.critic, "value")
    assert not hasattr(agent.critic, "target_params")
    value_metrics = {"value_mean", "value_loss", "value_gradient_norm"}
    (_, metrics), (_, others) = (jaxsac.update(each, batch, KEY) for each in (agent, without))
    assert set(metrics) - set(others) == value_metrics
    assert None not in jax.tree.leaves((agent, without), is_leaf=lambda x: x is None)


def test_a_value_network_that_is_not_finite_stops_the_update_and_is_named(agent):
    batch = make_batch()
    value = agent.critic.value
    value = value.replace(params=jax.tree.map(lambda x: x * jnp.inf, value.params))
    broken = agent.replace(critic=agent.critic.replace(value=value))
    after, metrics = jaxsac.update(broken, batch, KEY)
    assert (int(after.skipped), int(metrics.skipped), int(after.step)) == (1, 1, 0)
    assert_identical(after.replace(skipped=broken.skipped), broken)
    *leaves, first, others = explain(broken, batch, KEY)
    assert all("agent.critic.value.params" in text for text in leaves)
    assert first == "the first term that is not finite: value_mean = nan"
    assert others == "and after it: value_loss, value_gradient_norm"


def test_queries_need_actor_and_critics_alone(agent):
    batch, without = make_batch(), make_agent()
    for ask in (
        lambda state: jaxsac.act(state, batch.observation),
        lambda state: jaxsac.sample(state, batch.observation, KEY),
        lambda state: jaxsac.q_values(state, batch.observation, batch.action),
        lambda state: jaxsac.gradient_terms(state, batch, KEY),
    ):
        assert_identical(ask(agent), ask(without))


def test_batch_statistics_of_the_value_are_those_of_the_states_and_of_the_critics_those_of_pairs():
    config = jaxsac.Config(
        hidden_sizes=(8,), value_network=True, normalization="batch", normalize_inputs=True
    )
    state, batch = make_agent(config=config), make_batch()
    after, metrics = jaxsac.update(state, batch, KEY)
    assert int(metrics.skipped) == 0
    seen = batch.observation
    module = Value(config.critic_settings, jnp.float32)
    before, critics = state.critic, after.critic
    assert isinstance(before, CriticsWithValue)
    assert isinstance(critics, CriticsWithValue)
    _, statistics = module.apply(before.value.variables, seen, True, mutable=["batch_stats"])
    # Some means cancel to nothing but rounding, a hundredth of which is in the running ones.
    rounding = 0.01 * np.finfo(np.float32).eps
    chex.assert_trees_all_close(
        critics.value.collections, dict(statistics), rtol=1e-5, atol=rounding
    )
    # The normalizers of inputs see another number of them: states, and states with actions.
    widths = [
        {x.shape[-1] for x in jax.tree.leaves(node.collections)}
        for node in (critics.value, critics)
    ]
    size = seen.shape[-1]
    assert widths == [{size, 8}, {size + batch.action.shape[-1], 8}]
