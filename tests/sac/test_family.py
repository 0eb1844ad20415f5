"""The family in whole updates: every choice learns, by itself and among other seeds."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import (
    BATCH_SIZE,
    assert_close,
    assert_identical,
    config_with,
    is_identical,
    make_agent,
    make_batch,
    member,
    stack,
)

import jaxsac
from jaxsac.sac import forward
from jaxsac.sac.choices import choices
from jaxsac.sac.critics import TargetedCritics
from jaxsac.sac.heads import Categorical, Quantile
from jaxsac.sac.networks import make_networks
from jaxsac.sac.presets import gaussian_entropy
from jaxsac.types import Spec

KEY = jax.random.key(5)
ROWS = {
    "CrossQ and clipping": {
        "normalization": "batch_renorm", "normalization_position": "after",
        "normalize_inputs": True, "forward": "joint", "optimizer": "adamw",
        "clip_gradients": True, "renorm_warmup": 1,
    },
    "TQC and dropout": {
        "head": "quantile", "num_quantiles": 5, "num_critics": 3,
        "target_pessimism": "truncated", "actor_pessimism": "mean", "body": "residual",
        "critic_normalization": "layer", "critic_dropout_rate": 0.2, "lr_schedule": "linear",
    },
    "FlashSAC": {
        "body": "inverted_residual", "normalization": "batch", "normalize_inputs": True,
        "hidden_biases": False, "head": "categorical", "num_atoms": 11,
        "forward": "joint_with_targets", "actor_forward": "joint", "order": "actor_first",
        "actor_every": 2, "projection": "unit_norm_affine", "lr_schedule": "cosine",
        "log_std_map": "tanh", "alpha_loss": "alpha",
    },
    "XQC and REDQ": {
        "normalization": "batch", "hidden_biases": False, "head": "categorical", "num_atoms": 11,
        "forward": "joint_with_targets", "projection": "unit_norm", "num_critics": 3,
        "target_pessimism": "random_subset", "actor_pessimism": "random_subset",
    },
}  # fmt: skip
"""Few programs in which every choice of the family's axes is made."""
COVERED = (
    "body", "normalization", "normalization_position", "head", "target_pessimism", "forward",
    "actor_forward", "projection", "optimizer", "lr_schedule", "order",
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _x64_throughout():
    with jax.enable_x64(True):
        yield


def test_every_choice_is_in_a_row():
    for name in COVERED:
        made = {getattr(config_with(**row), name) for row in ROWS.values()}
        default = {getattr(jaxsac.Config(), name), "layer", "mean"}
        assert made | default >= set(choices(jaxsac.Config)[name]), name


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(row, id=name, marks=[pytest.mark.slow] * (name[:3] in ("TQC", "XQC")))
        for name, row in ROWS.items()
    ],
)
def group(request):
    """Two agents of a row, each with its own learning rate, and what they are trained with."""
    config = config_with(hidden_sizes=(8,), **request.param)
    agents = [make_agent(seed, config, critic_lr=0.01 * (1 + seed)) for seed in range(2)]
    batches = stack([make_batch(seed) for seed in range(2)])
    weight = jnp.stack([jnp.linspace(0.5, 1.5, BATCH_SIZE)] * 2)
    return stack(agents), batches, jax.random.split(KEY, 2), weight


def test_a_seed_learns_alike_alone_and_in_a_group_and_what_is_not_finite_is_left_out(group):
    states, batches, keys, weight = group
    vmapped = jax.jit(jax.vmap(jaxsac.update))
    after, metrics = vmapped(*group)
    later, _ = vmapped(after, batches, keys, weight)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((later, metrics)))
    assert not is_identical(member(later, 0).critic.params, member(states, 0).critic.params)
    alone, own_metrics = jaxsac.update(*(member(tree, 1) for tree in group))
    assert jax.tree.structure(alone) == jax.tree.structure(member(states, 1))
    assert_close((alone, own_metrics), (member(after, 1), member(metrics, 1)), 1e-8, 1e-9)

    bad = batches._replace(next_observation=batches.next_observation.at[0, 3].set(jnp.nan))
    skipped, _ = vmapped(states, bad, keys, weight)
    assert skipped.skipped.tolist() == [1, 0]
    assert_identical(member(skipped, 0).replace(skipped=states.skipped[0]), member(states, 0))
    assert_identical(member(skipped, 1), member(after, 1))

    # Acting and Q are functions of each state alone, whatever else is in its batch.
    agent, observation, action = member(later, 0), batches.observation[0], batches.action[0]
    company = observation.at[3:].multiply(9)
    acted, again = (jaxsac.act(agent, x)[:3] for x in (observation, company))
    assert_close(acted, again, 1e-9, 1e-10)
    q, again = (jaxsac.q_values(agent, x, action)[:, :3] for x in (observation, company))
    assert q.shape == (agent.config.num_critics, 3)
    assert_close(q, again, 1e-9, 1e-10)


def test_the_terms_of_the_gradient_sum_up_on_a_joint_batch():
    config = config_with(hidden_sizes=(8,), normalization="batch", actor_forward="joint")
    agent, batch = make_agent(config=config), make_batch()
    terms = jaxsac.gradient_terms(agent, batch, KEY)
    total = jax.tree.map(lambda *x: sum(x), terms.score, terms.entropy_path, terms.q_path)
    assert_close(total, terms.total, rtol=1e-8, atol=1e-10)
    other = batch._replace(next_observation=2 * batch.next_observation)
    assert not is_identical(jaxsac.gradient_terms(agent, other, KEY).total, terms.total)


def test_the_numbers_of_choices_reach_what_they_are_for():
    config = config_with(
        head="categorical", num_atoms=7, value_bound=2.5, subset_size=1, dropped_quantiles=3,
        batch_norm_momentum=0.5, batch_norm_epsilon=0.1, renorm_warmup=9, critic_dropout_rate=0.2,
    )  # fmt: skip
    networks = make_networks(config, Spec.of(jnp.zeros(2)))
    assert networks.head == Categorical(7, 2.5)
    assert networks.pessimism_settings == (1, 3)
    assert config.critic_settings.batch_norm == config.actor_settings.batch_norm == (0.5, 0.1, 9)
    assert (config.critic_settings.dropout_rate, config.actor_settings.dropout_rate) == (0.2, 0)
    quantiles = config_with(head="quantile", num_quantiles=4)
    assert make_networks(quantiles, Spec.of(jnp.zeros(2))).head == Quantile(4)


@pytest.mark.parametrize("actor_forward", ["apart", "joint"])
def test_the_statistics_of_the_actor_are_those_of_the_states_it_sees(actor_forward):
    config = config_with(normalization="batch", normalize_inputs=True)
    state, batch = make_agent(config=config), make_batch()
    networks = make_networks(config, state.action_spec)
    company = forward.ACTOR_FORWARDS[actor_forward](batch)
    policy, collections = networks.policy_in_training(
        state.actor.params, state.actor, batch.observation, KEY, company
    )
    seen = np.asarray(batch.observation)
    if actor_forward == "joint":
        seen = np.concatenate([seen, batch.next_observation])
    stats = collections["batch_stats"]["MLP_0"]["BatchNorm_0"]
    np.testing.assert_allclose(stats["mean"], 0.01 * seen.mean(0), rtol=1e-9)
    whole, _ = networks.policy_in_training(state.actor.params, state.actor, jnp.asarray(seen), KEY)
    assert policy.mean.shape == (BATCH_SIZE, 2)
    assert_close(policy.mean, whole.mean[:BATCH_SIZE], 1e-9, 1e-10)


def test_targets_in_training_mode_normalize_by_the_joint_batch_and_have_no_statistics():
    config = config_with(normalization="batch", forward="joint_with_targets", head="categorical")
    state, batch = make_agent(config=config), make_batch()
    networks = make_networks(config, state.action_spec)
    assert isinstance(state.critic, TargetedCritics)
    targets = jax.tree.map(lambda x: 1.5 * x, state.critic.target_params)
    critic, next_action = state.critic.replace(target_params=targets), 0.5 * batch.action
    whole = (
        jnp.concatenate([batch.observation, batch.next_observation]),
        jnp.concatenate([batch.action, next_action]),
    )

    def trained(params, statistics):
        variables = {"params": params, "batch_stats": statistics}
        return networks.critic.apply(variables, *whole, train=True, mutable=["batch_stats"])

    statistics = critic.collections["batch_stats"]
    found = networks.forward(networks.critic, critic.params, critic, batch, next_action, KEY)
    online, updated = trained(critic.params, statistics)
    other_statistics = jax.tree.map(lambda x: x + 7, statistics)
    target, _ = trained(targets, other_statistics)
    assert_close(found.prediction, online[:, :BATCH_SIZE], 1e-9, 1e-10)
    assert_close(found.next, target[:, BATCH_SIZE:], 1e-9, 1e-10)
    assert_close(found.collections, dict(updated), 1e-9, 1e-10)


# Presets


def hidden(inputs, units):
    """Numbers in a dense layer without biases and its batch normalization."""
    return inputs * units + 2 * units


def inverted_residual(inputs, units, outputs):
    """Numbers in FlashSAC's network, by its definition."""
    blocks = 2 * (hidden(units, 4 * units) + hidden(4 * units, units))
    return 2 * inputs + inputs * units + blocks + units + (units + 1) * outputs


SIZES = {
    # Batch renormalization of 17 + 6 inputs and after both layers of two critics, and of the actor.
    "crossq": 2 * (2 * 23 + hidden(24, 2048) + hidden(2049, 2048) + 2049)
    + (2 * 17 + hidden(18, 256) + hidden(257, 256) + 257 * 12),
    "xqc": 2 * (2 * 23 + hidden(23, 512) + 3 * hidden(512, 512) + 513 * 101)
    + (2 * 17 + hidden(17, 256) + 3 * hidden(256, 256) + 257 * 12),
    "flashsac": 2 * inverted_residual(23, 256, 101) + inverted_residual(17, 128, 12),
    "fast": 2 * inverted_residual(23, 64, 101) + inverted_residual(17, 32, 12),
    "droq": 2 * (hidden(24, 256) + hidden(257, 256) + 257) + (18 * 256 + 257 * 256 + 257 * 12),
    "tqc": 5 * (24 * 512 + 2 * 513 * 512 + 513 * 25) + (18 * 256 + 257 * 256 + 257 * 12),
}


@pytest.mark.parametrize("name", SIZES)
def test_the_networks_of_an_algorithm_have_the_layers_of_its_paper(name):
    config, hyperparameters, *_ = jaxsac.preset(name)
    state = jax.eval_shape(
        lambda key: jaxsac.init(key, jnp.zeros(17), jnp.zeros(6), config, hyperparameters), KEY
    )
    found = sum(x.size for x in jax.tree.leaves((state.actor.params, state.critic.params)))
    assert found == SIZES[name]


def test_flashsac_aims_at_the_entropy_of_a_normal_policy_of_a_small_spread():
    config, hyperparameters, *_ = jaxsac.preset("flashsac")
    config = dataclasses.replace(config, actor_hidden_sizes=(4,), critic_hidden_sizes=(4,))
    state = jaxsac.init(KEY, jnp.zeros(3), jnp.zeros(2), config, hyperparameters)
    samples = np.random.default_rng(0).normal(scale=0.15, size=1_000_000)
    log_prob = -(samples**2) / (2 * 0.15**2) - np.log(0.15 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(
        state.hyperparameters.target_entropy, -2 * log_prob.mean(), rtol=0.01
    )
    np.testing.assert_allclose(gaussian_entropy(0.15), -0.478, atol=5e-4)
