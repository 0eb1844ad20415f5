"""The axes along which SAC varies: each choice by itself, and all off is plain SAC."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import (
    ACTION_SIZE,
    assert_close,
    assert_identical,
    config_with,
    constant_batch,
    is_identical,
    make_agent,
    make_batch,
    of,
)
from flax import linen as nn

import jaxsac
from jaxsac.sac import bodies, forward, pessimism
from jaxsac.sac.apply import apply, apply_in_training
from jaxsac.sac.critics import TargetedCritics
from jaxsac.sac.heads import Scalar
from jaxsac.sac.policy import METRICS
from jaxsac.sac.projection import unit_norm
from jaxsac.sac.value_network import CriticsWithValue

KEY = jax.random.key(5)


def update(state, key=KEY, **options):
    return jaxsac.update(state, make_batch(), key, **options)


# Networks with collections and random numbers of their own


class BatchNormActor(nn.Module):
    @nn.compact
    def __call__(self, observation, train=False):
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(observation)
        return nn.Dense(ACTION_SIZE)(x), jnp.zeros((len(x), ACTION_SIZE))


class DroppingCritic(nn.Module):
    """Batch statistics, and dropout where there is a key."""

    rate: float = 0.5

    @nn.compact
    def __call__(self, observation, action, train=False):
        x = jnp.concatenate([observation, action], -1)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        x = nn.Dropout(self.rate, deterministic=not self.has_rng("dropout"))(nn.Dense(32)(x))
        return nn.Dense(2)(x).T


class StrictActor(nn.Module):
    """Its argument `train` has no default."""

    @nn.compact
    def __call__(self, observation, train):
        return nn.Dense(ACTION_SIZE)(observation), jnp.full((len(observation), ACTION_SIZE), -train)


def test_a_network_that_has_to_be_told_whether_it_trains_is_told():
    state, metrics = update(make_agent(config=jaxsac.Config(actor=StrictActor())))
    assert state.step == 1
    plain = update(make_agent(config=jaxsac.Config()))[1]
    assert metrics.entropy < plain.entropy  # log σ is -1 in training


def test_batch_statistics_that_would_not_be_finite_leave_the_state_as_it_was(normalized):
    batch = make_batch()
    huge = batch._replace(observation=batch.observation.at[0, 0].set(1e25))
    after, metrics = jaxsac.update(normalized, huge, KEY)
    assert (int(metrics.skipped), int(after.step)) == (1, 0)
    assert_identical(after.replace(skipped=normalized.skipped), normalized)


@pytest.fixture(scope="module")
def normalized():
    return make_agent(config=jaxsac.Config(actor=BatchNormActor(), critic=DroppingCritic()))


def test_batch_statistics_are_learned_in_updates_and_used_in_acting(normalized):
    after, metrics = update(normalized)
    assert (int(metrics.skipped), int(after.step)) == (0, 1)
    observation = make_batch().observation
    (statistics,) = after.actor.collections["batch_stats"].values()
    expected = 0.1 * np.mean(observation, axis=0)
    np.testing.assert_allclose(statistics["mean"], expected, rtol=1e-4, atol=1e-6)
    dense = after.actor.params["Dense_0"]
    (scale,) = (v for k, v in after.actor.params.items() if k.startswith("BatchNorm"))
    x = (observation - statistics["mean"]) / np.sqrt(statistics["var"] + 1e-5)
    x = x * scale["scale"] + scale["bias"]
    expected = np.tanh(x @ dense["kernel"] + dense["bias"])
    np.testing.assert_allclose(jaxsac.act(after, observation), expected, rtol=1e-4, atol=1e-5)
    # One observation alone is acted on as in any company.
    assert_close(jaxsac.act(after, observation[0]), jaxsac.act(after, observation)[0], 1e-5, 1e-6)


def test_the_critics_statistics_follow_their_own_batch_and_not_that_of_the_targets(normalized):
    after, _ = update(normalized)
    batch = make_batch()
    seen = np.concatenate([batch.observation, batch.action], -1)
    (statistics,) = after.critic.collections["batch_stats"].values()
    np.testing.assert_allclose(statistics["mean"], 0.1 * seen.mean(0), rtol=1e-4, atol=1e-6)


def test_a_network_draws_by_the_key_of_the_update_and_not_when_it_is_asked(normalized):
    batch = make_batch()
    assert_identical(update(normalized)[0], update(normalized)[0])
    first, other = (update(normalized, jax.random.key(k))[0] for k in (1, 2))
    assert not is_identical(first.critic.params, other.critic.params)
    q = [jaxsac.q_values(normalized, batch.observation, batch.action) for _ in range(2)]
    assert_identical(*q)
    # Dropout is in the loss: without it the same update is another.
    still = normalized.replace(
        config=jaxsac.Config(actor=BatchNormActor(), critic=DroppingCritic(0.0))
    )
    assert not is_identical(update(still)[0].critic.params, update(normalized)[0].critic.params)


def test_networks_draw_numbers_in_training_and_wherever_a_key_is_given():
    module, batch = DroppingCritic(), make_batch()
    inputs = batch.observation, batch.action
    variables = module.init(KEY, *inputs)
    first, again, other = (
        apply_in_training(module, variables, jax.random.key(k), *inputs)[0] for k in (1, 1, 2)
    )
    assert_identical(first, again)
    assert not is_identical(first, other)
    with_key = [apply(module, variables, *inputs, key=jax.random.key(k)) for k in (1, 2)]
    assert not is_identical(*with_key)
    assert_identical(*(apply(module, variables, *inputs) for _ in range(2)))


def test_collections_are_left_as_they_were_by_an_update_that_is_not_finite(normalized):
    batch = make_batch()
    bad = batch._replace(reward=batch.reward.at[0].set(jnp.nan))
    after, _ = jaxsac.update(normalized, bad, KEY)
    assert_identical(after.replace(skipped=normalized.skipped), normalized)


def test_terms_of_the_gradient_sum_up_with_batch_statistics_too(normalized):
    terms = jaxsac.gradient_terms(normalized, make_batch(), KEY)
    total = jax.tree.map(lambda *x: sum(x), terms.score, terms.entropy_path, terms.q_path)
    assert_close(total, terms.total, rtol=1e-4, atol=1e-6)


def test_seeds_with_collections_of_their_own_are_vmapped(normalized):
    states = jax.tree.map(lambda *x: jnp.stack(x), normalized, make_agent(3, normalized.config))
    batches = jax.tree.map(lambda *x: jnp.stack(x), make_batch(0), make_batch(1))
    after, _ = jax.vmap(jaxsac.update)(states, batches, jax.random.split(KEY, 2))
    alone, _ = jaxsac.update(normalized, make_batch(0), jax.random.split(KEY, 2)[0])
    assert_close(jax.tree.map(lambda x: x[0], after), alone, rtol=1e-4, atol=1e-5)


# Settings of each network


def test_actor_and_critics_have_settings_of_their_own():
    state = make_agent(
        config=config_with(
            actor_hidden_sizes=(5,), critic_hidden_sizes=[7, 6], critic_normalization="layer"
        )
    )
    actor, critic = (next(iter(n.params.values())) for n in (state.actor, state.critic))
    assert {name: x["kernel"].shape for name, x in actor.items()} == {
        "Dense_0": (3, 5), "Dense_1": (5, 2 * ACTION_SIZE),
    }  # fmt: skip
    assert critic["Dense_1"]["kernel"].shape == (2, 7, 6)
    assert set(critic) == {"Dense_0", "Dense_1", "Dense_2", "LayerNorm_0", "LayerNorm_1"}
    value = make_agent(config=config_with(critic_hidden_sizes=(4,), value_network=True))
    assert isinstance(value.critic, CriticsWithValue)
    assert next(iter(value.critic.value.params.values()))["Dense_0"]["kernel"].shape == (3, 4)


@pytest.mark.usefixtures("x64")
def test_a_residual_body_agrees_with_numpy():
    settings = config_with(hidden_sizes=(6, 6), body="residual").actor_settings
    body = bodies.Residual(settings, 2, jnp.float64)
    x = jax.random.normal(KEY, (4, 3))
    params = jax.tree.map(
        lambda leaf: leaf + 0.1 * jax.random.normal(KEY, leaf.shape), body.init(KEY, x)["params"]
    )
    assert params["Dense_1"]["kernel"].shape == (6, 24), "four times as wide inside"

    def dense(number, x):
        return x @ params[f"Dense_{number}"]["kernel"] + params[f"Dense_{number}"]["bias"]

    def norm(number, x):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
        return x * params[f"LayerNorm_{number}"]["scale"] + params[f"LayerNorm_{number}"]["bias"]

    h = dense(0, x)
    for block in range(2):
        inside = np.maximum(dense(2 * block + 1, norm(block, h)), 0)
        h = h + dense(2 * block + 2, inside)
    expected = dense(5, norm(2, h))
    np.testing.assert_allclose(body.apply({"params": params}, x), expected, rtol=1e-9)


def test_an_agent_with_residual_bodies_learns():
    state = make_agent(config=config_with(body="residual"))
    after, metrics = update(state)
    assert np.isfinite(list(metrics.values())).all()
    assert not is_identical(after.critic.params, state.critic.params)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"body": "residual", "hidden_sizes": (4, 5)}, "must be alike"),
        ({"critic_hidden_sizes": (4, 0)}, "critic_hidden_sizes must be positive"),
        ({"normalization": None}, "normalization must be one of"),
        ({"critic_body": "tree"}, "critic_body must be one of"),
        ({"target_pessimism": None}, "target_pessimism must be one of"),
        ({"actor_every": 0}, "actor_every must be at least 1"),
        ({"value_network": True, "forward": "joint"}, "with a value network"),
        ({"value_network": True, "head": "quantile"}, "a value network gives the critics one"),
        ({"target_pessimism": "truncated"}, "choose head 'quantile', not 'scalar'"),
        (
            {"actor_pessimism": "truncated", "head": "quantile", "dropped_quantiles": 25},
            "dropped_quantiles 25 must be below num_quantiles 25",
        ),
        ({"target_pessimism": "random_subset", "subset_size": 3}, "subset_size 3 must be at most"),
        ({"normalize_inputs": True}, "no effect without a normalization"),
        ({"body": "inverted_residual", "hidden_sizes": (4, 5)}, "must be alike"),
        ({"num_atoms": 1}, "num_atoms must be at least 2"),
        ({"critic_dropout_rate": 1.0}, r"critic_dropout_rate must be in \[0, 1\)"),
        ({"value_bound": -1.0}, "value_bound must be in"),
        ({"log_prob_epsilon": 1.5}, "log_prob_epsilon must be in"),
    ],
)
def test_choices_that_cannot_be_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        jaxsac.Config(**fields)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weight_decay": 0.1}, "weight_decay 0.1 has no effect: optimizer is 'adam'"),
        ({"adam_b1": 0.5}, "adam_b1 0.5 has no effect: .* and it is for 'adamw'"),
        ({"max_gradient_norm": 2.0}, "no effect: clip_gradients is False"),
        ({"schedule_updates": np.array(5.0)}, "no effect: lr_schedule is 'constant'"),
        ({"adam_b2": 1.0}, "adam_b2 must be between 0 and 1"),
        ({"weight_decay": -0.1}, "weight_decay must be between"),
        ({"schedule_updates": 0.0}, "schedule_updates must be between 1"),
    ],
)
def test_numbers_that_cannot_be_or_have_no_effect_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        make_agent(**values)


def test_a_custom_critic_that_has_no_distribution_is_refused_with_such_a_head():
    config = jaxsac.Config(critic=DroppingCritic(), head="quantile")
    with pytest.raises(ValueError, match=r"\(ensemble, batch, outputs\), \(\.\.\., 1, 25\)"):
        make_agent(config=config)


# Head, pessimism, forward


def test_pessimisms_of_an_ensemble():
    outputs = jnp.array([[1.0, 5.0], [3.0, 1.0], [2.0, 0.0]])
    settings = pessimism.PessimismSettings()
    lowest, mean = (
        f(Scalar(), outputs, KEY, settings) for f in (pessimism.minimum, pessimism.mean)
    )
    assert (lowest.tolist(), mean.tolist()) == ([1.0, 0.0], [2.0, 2.0])


@pytest.mark.parametrize(
    ("choice", "metric"), [("target_pessimism", "target_mean"), ("actor_pessimism", "actor_loss")]
)
def test_the_mean_is_believed_where_it_is_chosen(choice, metric):
    _, plain = update(make_agent(critic_lr=0.0))
    _, mean = update(make_agent(config=config_with(**{choice: "mean"}), critic_lr=0.0))
    same = {name for name in plain if np.isclose(plain[name], mean[name], rtol=1e-5)}
    assert metric not in same
    assert set(plain) - same <= {metric, f"{metric[:5]}_gradient_norm", *(
        ("critic_loss", "critic_gradient_norm") if metric == "target_mean" else ()
    )}  # fmt: skip
    sign = 1 if metric == "target_mean" else -1  # the mean is above the minimum
    assert sign * (mean[metric] - plain[metric]) > 0


def test_a_joint_forward_needs_no_targets_and_stops_at_the_next_state():
    state = make_agent(config=config_with(forward="joint"))
    assert not isinstance(state.critic, TargetedCritics)
    # Plain networks do not see their company: it is as if targets were the critics themselves.
    plain, metrics = update(make_agent())  # whose targets still are
    after, joint_metrics = update(state)
    assert_close(dict(joint_metrics), dict(metrics), rtol=1e-4, atol=1e-5)
    assert_close(after.critic.params, plain.critic.params, rtol=1e-4, atol=1e-5)
    assert_close(after.actor, plain.actor, rtol=1e-3, atol=1e-4)


def test_a_joint_batch_normalizes_both_halves_together():
    batch, module = constant_batch(1.0), DroppingCritic(0.0)
    batch = batch._replace(next_observation=3 * batch.next_observation)
    next_action = 5 * batch.action
    variables = module.init(KEY, batch.observation, batch.action)
    critic = of(variables["params"]).replace(collections={"batch_stats": variables["batch_stats"]})
    outputs = forward.joint(module, critic.params, critic, batch, next_action, KEY)
    (statistics,) = outputs.collections["batch_stats"].values()
    np.testing.assert_allclose(statistics["mean"], 0.1 * np.array([2.0, 3.0]), rtol=1e-5)
    assert outputs.prediction.shape == outputs.next.shape == (2, 4)
    assert not np.allclose(outputs.prediction, outputs.next)


# Weights, optimizer, projection, order and rhythm


def test_weights_of_one_are_none_and_a_weight_of_zero_leaves_a_transition_out():
    state, batch = make_agent(), make_batch()
    ones, _ = update(state, weight=jnp.ones(8))
    assert_close(ones, update(state)[0], rtol=1e-6, atol=1e-7)
    weight = jnp.array([2.0, 2, 2, 2, 0, 0, 0, 0])
    spoiled = batch._replace(reward=batch.reward.at[4:].set(1e6))
    weighted, _ = jaxsac.update(state, batch, KEY, weight)
    again, _ = jaxsac.update(state, spoiled, KEY, weight)
    assert_close(again.critic, weighted.critic, rtol=1e-5, atol=1e-6)
    other, _ = jaxsac.update(state, spoiled, KEY)
    assert not is_identical(other.critic.params, weighted.critic.params)


@pytest.mark.parametrize("value_network", [False, True])
def test_the_critics_gradient_is_linear_in_the_weights(value_network):
    state = make_agent(config=config_with(value_network=value_network))
    halves = jnp.array([1.0, 0, 1, 0, 1, 0, 1, 0])
    moments = [update(state, weight=w)[0].critic.opt_state[0].mu for w in (halves, 1 - halves)]
    total = jax.tree.map(jnp.add, *moments)
    assert_close(total, update(state)[0].critic.opt_state[0].mu, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("weight", [jnp.ones(7), jnp.ones((8, 1)), 1.0])
def test_weights_of_another_shape_are_refused(weight):
    with pytest.raises(ValueError, match=r"weight has shape .* \(8,\)"):
        update(make_agent(), weight=weight)


def test_a_projection_brings_units_to_norm_one_at_the_start_and_after_each_step():
    state = make_agent(config=config_with(projection="unit_norm"))
    for _ in range(2):
        for network in (state.actor, state.critic):
            for path, leaf in jax.tree.leaves_with_path(network.params):
                if path[-1].key == "kernel":
                    norms = np.linalg.norm(leaf, axis=-2)
                    np.testing.assert_allclose(norms, 1, rtol=1e-5)
        state, _ = update(state)
    biases = jax.tree.leaves(jax.tree.map_with_path(
        lambda path, x: x if path[-1].key == "bias" else None, state.actor.params
    ))  # fmt: skip
    assert any(np.any(bias != 0) for bias in biases), "biases are left alone"
    kernel = jnp.array([[3.0, 0.0, 0.0], [4.0, -2.0, 0.0]])
    projected = unit_norm({"Dense_0": {"kernel": kernel, "bias": jnp.ones(3)}})
    expected = [[0.6, 0.0, 0.0], [0.8, -1.0, 0.0]]  # a unit without weights has no direction
    np.testing.assert_allclose(projected["Dense_0"]["kernel"], expected, rtol=1e-6)
    convolution = unit_norm({"Conv_0": {"kernel": jax.random.normal(KEY, (3, 3, 2, 4))}})
    norms = np.sqrt(np.sum(convolution["Conv_0"]["kernel"] ** 2, axis=(0, 1, 2)))
    np.testing.assert_allclose(norms, 1, rtol=1e-5)


def test_the_actor_steps_every_third_update_alone_and_has_no_metrics_in_between():
    state = make_agent(config=config_with(actor_every=3))
    moved = []
    for step in range(7):
        after, metrics = update(state, jax.random.key(step))
        still = is_identical((after.actor, after.temperature), (state.actor, state.temperature))
        assert {name for name, x in metrics.items() if np.isnan(x)} == (
            set(METRICS) if still else set()
        )
        assert after.step == step + 1
        assert not is_identical(after.critic.params, state.critic.params)
        moved.append(not still)
        state = after
    assert moved == [True, False, False, True, False, False, True]


def test_updates_that_were_skipped_count_for_when_the_actor_is_due():
    state = make_agent(config=config_with(actor_every=3))
    for skipped, due in ((0, False), (1, False), (2, True)):
        after, _ = update(state.replace(step=state.step + 1, skipped=state.skipped + skipped))
        assert is_identical(after.actor, state.actor) != due


@pytest.mark.parametrize("every", [1, 3])
def test_whether_the_actor_is_due_may_be_said(every):
    state = make_agent(config=config_with(actor_every=every)).replace(step=jnp.array(1))
    for due in (False, True):
        after, metrics = update(state, actor_due=jnp.array(due))
        still = is_identical((after.actor, after.temperature), (state.actor, state.temperature))
        assert still == bool(np.isnan(metrics.actor_gradient_norm)) == (not due)
        assert not is_identical(after.critic.params, state.critic.params)


def test_under_debug_nans_the_actor_has_to_step():
    state = make_agent(config=config_with(actor_every=3)).replace(step=jnp.array(1))
    with jax.debug_nans(True):
        update(state, actor_due=jnp.array(True))
        with pytest.raises(FloatingPointError, match="nan"):
            update(state)


def test_where_the_actor_is_due_an_update_is_plain():
    rests = make_agent(config=config_with(actor_every=3))
    after, expected = (update(x)[0] for x in (rests, make_agent()))
    for learned in ("actor", "critic", "temperature"):
        assert_identical(getattr(after, learned), getattr(expected, learned))


def test_with_the_actor_first_each_sees_what_the_other_has_become():
    plain, plain_metrics = update(make_agent())
    state = make_agent(config=config_with(order="actor_first"))
    after, metrics = update(state)
    assert list(metrics)[:2] == ["alpha", "entropy"]
    # The actor sees the critics from before the update: as plain SAC with critics that stay.
    frozen, frozen_metrics = update(make_agent(critic_lr=0.0))
    np.testing.assert_allclose(metrics.actor_loss, frozen_metrics.actor_loss, rtol=1e-5)
    assert_close(after.actor, frozen.actor, rtol=1e-4, atol=1e-5)
    # And the critics see the actor and temperature after it.
    actor_only = make_agent(critic_lr=0.0, tau=0.0)
    moved, _ = update(actor_only)
    moved = moved.replace(hyperparameters=state.hyperparameters)
    _, expected = update(moved)
    np.testing.assert_allclose(metrics.target_mean, expected.target_mean, rtol=1e-4)
    assert metrics.target_mean != plain_metrics.target_mean
    assert not is_identical(after.critic.params, plain.critic.params)


# Metrics


def test_metrics_are_a_mapping_in_the_order_of_computation_with_attributes():
    _, metrics = update(make_agent())
    assert list(metrics) == [
        "alpha", "target_mean", "q_mean", "critic_loss", "critic_gradient_norm", "entropy",
        "actor_loss", "actor_gradient_norm", "alpha_loss", "alpha_gradient_norm", "skipped",
    ]  # fmt: skip
    assert metrics["entropy"] is metrics.entropy
    with pytest.raises(AttributeError, match="no metric 'entropie'"):
        _ = metrics.entropie
    doubled = jax.tree.map(lambda x: 2 * x, metrics)
    assert type(doubled) is jaxsac.Metrics
    assert list(doubled) == list(metrics)


@pytest.mark.parametrize("impostor", [None, {"actor": 1}])
def test_what_is_no_agent_is_refused_by_name(impostor):
    with pytest.raises(TypeError, match=r"state must be a jaxsac\.State"):
        jaxsac.act(impostor, jnp.zeros(3))
