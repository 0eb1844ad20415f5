"""The numbers of an inspection against those that are known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import jaxsac
from jaxsac.inspection import saturation, section
from jaxsac.inspection.curves import entropy, norms
from jaxsac.inspection.episodes import Episode
from jaxsac.inspection.features import dead_share, hidden, srank
from jaxsac.inspection.replay import scaled_by
from jaxsac.inspection.values import returns
from jaxsac.sac.networks import make_networks
from run_examples import small_run

NET = jaxsac.Config(hidden_sizes=(4, 3))


def agent_of(config=NET):
    observation, action = jnp.zeros(2), jnp.zeros(1)
    return jaxsac.init(jax.random.key(0), observation, action, config)


def by_hand(body, x):
    """The hidden layers of an MLP."""
    layers = []
    for name in ("Dense_0", "Dense_1"):
        x = np.maximum(x @ body[name]["kernel"] + body[name]["bias"], 0)
        layers.append(x)
    return layers


def test_hidden_layers_are_what_the_networks_compute():
    agent, networks = agent_of(), make_networks(NET, agent_of().action_spec)
    observation = np.random.default_rng(0).normal(size=(16, 2)).astype(np.float32)
    action = np.random.default_rng(1).uniform(-1, 1, (16, 1)).astype(np.float32)
    layers, features = hidden(networks.actor, agent.actor.variables, observation)
    (body,) = agent.actor.params.values()
    for found, expected in zip(layers, by_hand(body, observation), strict=True):
        np.testing.assert_allclose(found[0], expected, atol=1e-5)
    np.testing.assert_array_equal(features, layers[-1])
    layers, features = hidden(networks.critic, agent.critic.variables, observation, action)
    (bodies,) = agent.critic.params.values()
    for index in range(2):
        body = jax.tree.map(lambda x, index=index: x[index], bodies)
        expected = by_hand(body, np.concatenate([observation, action], axis=1))
        np.testing.assert_allclose(features[index], expected[-1], atol=1e-5)
    np.testing.assert_array_equal(features, layers[-1])


@pytest.mark.parametrize("body", ["residual", "inverted_residual"])
def test_residual_features_are_what_the_output_layer_sees(body):
    config = jaxsac.Config(hidden_sizes=(4, 4), body=body)
    agent = agent_of(config)
    networks = make_networks(config, agent.action_spec)
    observation = np.random.default_rng(0).normal(size=(16, 2)).astype(np.float32)
    _, features = hidden(networks.actor, agent.actor.variables, observation)
    (params,) = agent.actor.params.values()
    last = params[max((n for n in params if n.startswith("Dense")), key=lambda n: int(n[6:]))]
    mean, _ = networks.actor.apply(agent.actor.variables, observation)
    output = features[0] @ last["kernel"] + last["bias"]
    np.testing.assert_allclose(output[:, :1], mean, atol=1e-5)


def test_dead_units_are_zero_for_all_of_a_batch_in_each_critic():
    activations = np.ones((2, 5, 4))
    activations[0, :, 1] = 0
    activations[1, :, 2:] = 0
    activations[1, :4, 0] = 0  # once alive
    assert dead_share(activations) == [0.25, 0.5]


def test_a_share_that_is_no_number_is_a_dash():
    assert section.percent(0.125) == "12.5 %"
    assert section.percent(float("nan")) == "-"


def test_srank_is_the_least_number_of_singular_values_with_99_percent():
    def with_values(*values):
        rng = np.random.default_rng(0)
        left, right = (np.linalg.qr(rng.normal(size=(n, 4)))[0] for n in (50, 4))
        return left @ np.diag(values) @ right.T

    stacked = np.stack([
        with_values(1, 1, 1, 1), with_values(100, 1.5, 0.1, 0.1), with_values(100, 0.5, 0.2, 0.2),
        with_values(0, 0, 0, 0),
    ])  # fmt: skip
    assert srank(stacked) == [4, 2, 1, 0]


def episode(reward, log_prob, terminated, last_q=0.0, last_log_prob=0.0):
    reward, log_prob = np.array(reward, float), np.array(log_prob, float)
    zeros = np.zeros(len(reward))
    return Episode(
        zeros[:, None], reward, log_prob, zeros, zeros, terminated, last_q, last_log_prob
    )


def test_soft_returns_count_entropy_from_the_next_action_on():
    found = returns(episode([1, 2, 3], [5, 6, 7], True), 0.5, 0.1, 1, 1.0)
    np.testing.assert_allclose(found.plain, [1 + 1 + 0.75, 2 + 1.5, 3])
    np.testing.assert_allclose(found.soft - found.plain, [-0.3 - 0.175, -0.35, 0], atol=1e-12)
    np.testing.assert_array_equal(found.weight, 0)


def test_an_episode_that_was_cut_goes_on_with_the_critics():
    cut = episode([1, 2], [5, 6], False, last_q=10.0, last_log_prob=4.0)
    found = returns(cut, 0.5, 0.1, 1, 2.0)
    np.testing.assert_allclose(found.plain, [0.5 + 0.5 + 2.5, 1 + 5])
    np.testing.assert_allclose(found.soft, [0.5 + 0.5 + 2.5 - 0.3 - 0.1, 1 + 5 - 0.2])
    np.testing.assert_array_equal(found.weight, [0.25, 0.5])


def test_returns_of_several_steps_count_entropy_where_their_targets_do():
    found = returns(episode([0] * 4, [1, 2, 3, 4], True), 0.5, 1.0, 3, 1.0)
    # Three steps ahead of the first there is the fourth action; of the others, the end.
    np.testing.assert_allclose(found.soft, [-4 / 8, 0, 0, 0])


def test_saturation_is_counted_by_dimension_with_the_gradient_left():
    actions = np.array([[0.995, 0], [0.5, -0.999], [-1, 0.2], [0.1, 0.3]])
    found = saturation._shares(actions)
    assert found["share"] == [0.5, 0.25]
    np.testing.assert_allclose(found["gradient"], [(1 - 0.995**2) / 2, 1 - 0.999**2])


def columns(**values):
    return {"step": np.arange(10.0), **{name: np.array(v, float) for name, v in values.items()}}


def bad(section):
    return [check.name for check in section.checks if check.bad]


def test_an_entropy_off_its_target_is_flagged_unless_the_temperature_is_fixed():
    def of(end, config=small_run()):
        found = columns(entropy=[0] * 8 + [end] * 2, target_entropy=[-2] * 10, alpha=[0.1] * 10)
        return bad(entropy(config, found, 2))

    assert of(-2.2) == []
    assert of(-3) == ["entropy at the end, target"]
    fixed = small_run(hyperparameters=jaxsac.Hyperparameters(alpha_lr=0.0))
    assert of(-3, fixed) == []


def test_growing_gradients_and_updates_left_out_are_flagged():
    calm = columns(actor_gradient_norm=[1] * 10, critic_gradient_norm=[1] * 10, skipped=[0] * 10)
    assert bad(norms(calm)) == []
    wild = {**calm, "critic_gradient_norm": np.array([1.0] * 8 + [50] * 2)}
    wild["skipped"] = np.ones(10)
    assert len(bad(norms(wild))) == 2
    assert norms({}).left_out


def test_inputs_that_the_networks_scale_one_by_one_need_no_other_scale():
    assert scaled_by(True, NET) == "normalize_observations does so"
    assert scaled_by(False, NET) == ""
    for changes, scales in (
        ({"normalization": "batch_renorm"}, True),
        ({"normalization": "batch", "normalize_inputs": False}, False),
        ({"normalization": "layer"}, False),
        ({"normalization": "batch", "actor_normalization": "none"}, False),
        ({"normalization": "batch", "critic": nn.Dense(1)}, False),  # a network of one's own
    ):
        config = dataclasses.replace(NET, **{"normalize_inputs": True, **changes})
        assert scaled_by(False, config) == ("normalize_inputs does so" if scales else "")
