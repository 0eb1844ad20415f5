import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from examples import (
    ACTION_SIZE,
    CONFIG,
    OBSERVATION_SIZE,
    assert_close,
    assert_identical,
    is_identical,
    make_agent,
    make_batch,
)
from flax import linen as nn
from flax import nnx, serialization

import jaxsac
from jaxsac.sac.bodies import MLP
from jaxsac.sac.critics import TargetedCritics
from jaxsac.sac.networks import log_std_of

KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def agent():
    return make_agent()


@pytest.fixture(scope="module")
def batch():
    return make_batch()


def trained_parts(state):
    return {
        "actor": state.actor.params,
        "critic": state.critic.params,
        "target": state.critic.target_params,
        "alpha": state.temperature.params,
    }


@pytest.mark.parametrize("trained", ["actor", "critic", "alpha"])
def test_a_loss_moves_its_own_parameters_and_nothing_else(trained, batch):
    rates = {f"{name}_lr": 0.0 for name in ("actor", "critic", "alpha")}
    state = make_agent(**{**rates, f"{trained}_lr": 0.01}, tau=0.0)
    after, _ = jaxsac.update(state, batch, KEY)
    before, after = trained_parts(state), trained_parts(after)
    assert {name for name in before if not is_identical(before[name], after[name])} == {trained}


def test_alpha_lr_zero_keeps_the_temperature(batch):
    state = make_agent(alpha_lr=0.0, initial_alpha=0.37)
    for step in range(3):
        state, metrics = jaxsac.update(state, batch, jax.random.key(step))
        np.testing.assert_allclose(metrics.alpha, 0.37, rtol=1e-6)
    assert state.temperature.params == jnp.log(jnp.float32(0.37))


def test_tau_zero_keeps_the_targets_and_tau_one_copies_the_critics(batch):
    frozen, _ = jaxsac.update(make_agent(tau=0.0), batch, KEY)
    assert_identical(frozen.critic.target_params, make_agent().critic.params)
    assert not is_identical(frozen.critic.target_params, frozen.critic.params)
    copied, _ = jaxsac.update(make_agent(tau=1.0), batch, KEY)
    assert_identical(copied.critic.target_params, copied.critic.params)


def test_targets_approach_fixed_critics_geometrically(batch, agent):
    state = make_agent(critic_lr=0.0, tau=0.25)
    start = jax.tree.map(lambda x: x + 1, state.critic.params)
    state = state.replace(critic=state.critic.replace(target_params=start))
    for step in range(4):
        state, _ = jaxsac.update(state, batch, jax.random.key(step))
    expected = jax.tree.map(lambda x: x + 0.75**4, agent.critic.params)
    assert isinstance(state.critic, TargetedCritics)
    assert_close(state.critic.target_params, expected, rtol=1e-5, atol=1e-6)


def test_the_order_of_transitions_does_not_matter_to_the_critics(batch):
    # Without bootstrapping the critics' gradient has no noise that would need permuting too.
    state = make_agent(gamma=0.0)
    reversed_batch = jax.tree.map(lambda x: x[::-1], batch)
    after, _ = jaxsac.update(state, batch, KEY)
    permuted, _ = jaxsac.update(state, reversed_batch, KEY)
    assert_close(
        permuted.critic.opt_state[0].mu, after.critic.opt_state[0].mu, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("field", ["observation", "action", "reward", "next_observation"])
@pytest.mark.parametrize("value", [jnp.nan, jnp.inf])
def test_a_batch_that_is_not_finite_leaves_the_state_as_it_was_and_is_counted(
    field, value, agent, batch
):
    leaf = getattr(batch, field)
    bad = batch._replace(**{field: leaf.at[(3,) + (0,) * (leaf.ndim - 1)].set(value)})
    if field == "next_observation":
        bad = bad._replace(discount=jnp.ones_like(bad.discount))
    after, metrics = jaxsac.update(agent, bad, KEY)
    assert (int(after.skipped), int(metrics.skipped), int(after.step)) == (1, 1, 0)
    assert_identical(after.replace(skipped=agent.skipped), agent)
    good, metrics = jaxsac.update(after, batch, KEY)
    assert (int(good.skipped), int(metrics.skipped), int(good.step)) == (1, 1, 1)
    assert not is_identical(good.actor.params, agent.actor.params)


def test_same_key_same_update_and_another_key_another(agent, batch):
    first, _ = jaxsac.update(agent, batch, KEY)
    again, _ = jaxsac.update(agent, batch, KEY)
    other, _ = jaxsac.update(agent, batch, jax.random.key(6))
    assert_identical(again, first)
    assert not is_identical(other.actor.params, first.actor.params)


def test_update_does_not_consume_its_arguments(agent, batch):
    copy = jax.tree.map(jnp.copy, agent)
    jaxsac.update(agent, batch, KEY)
    assert_identical(agent, copy)


def test_states_and_metrics_go_through_bytes(agent, batch):
    after = jaxsac.update(agent, batch, KEY)
    restored = serialization.from_bytes(after, serialization.to_bytes(after))
    assert_identical(restored, after)
    assert restored[1].entropy == after[1].entropy


def test_init_depends_on_the_key_and_starts_targets_at_the_critics(agent):
    assert_identical(make_agent(0), agent)
    assert not is_identical(make_agent(1).actor.params, agent.actor.params)
    assert_identical(agent.critic.target_params, agent.critic.params)
    first, second = oracle.ensemble_from_params(agent.critic.params)
    assert not np.array_equal(first[0], second[0]), "the critics of an ensemble start apart"
    assert (int(agent.step), int(agent.skipped)) == (0, 0)


def test_initial_kernels_are_orthogonal_with_gain_root_two_and_biases_zero(agent):
    for net in (
        oracle.from_params(agent.actor.params),
        *oracle.ensemble_from_params(agent.critic.params),
    ):
        for kernel, bias in zip(net[::2], net[1::2], strict=True):
            small = kernel if kernel.shape[0] >= kernel.shape[1] else kernel.T
            np.testing.assert_allclose(small.T @ small, 2 * np.eye(small.shape[1]), atol=1e-5)
            assert not bias.any()


@pytest.mark.parametrize(
    ("initializer", "std", "largest", "bias"),
    [("lecun_normal", 1, 2.27, 0), ("lecun_uniform", 1, 3**0.5, 0), ("torch", 3**-0.5, 1, 1)],
)
def test_initial_weights_are_spread_by_the_number_of_inputs(initializer, std, largest, bias):
    mlp = MLP(jaxsac.Config((400,), initializer=initializer).actor_settings, 100, jnp.float32)
    for layer in mlp.init(KEY, jnp.zeros((1, 25)))["params"].values():
        root = math.sqrt(len(layer["kernel"]))
        np.testing.assert_allclose(root * jnp.std(layer["kernel"]), std, rtol=0.03)
        np.testing.assert_allclose(root * jnp.max(jnp.abs(layer["kernel"])), largest, rtol=0.02)
        np.testing.assert_allclose(root * jnp.max(jnp.abs(layer["bias"])), bias, rtol=0.03)


@pytest.mark.parametrize(
    ("log_std_map", "expected"),
    [
        ("clip", [-5, -5, 0, 2, 2]),
        ("tanh", [-5, -1.5 - 3.5 * math.tanh(6), -1.5, -1.5 + 3.5 * math.tanh(6), 2]),
        ("softplus", [-5, math.log(math.exp(-5) + math.log1p(math.exp(-6))),
                      math.log(math.exp(-5) + math.log(2)),
                      math.log(math.exp(-5) + math.log1p(math.exp(6))), math.log(1e3)]),
    ],
)  # fmt: skip
def test_the_log_std_follows_its_map(log_std_map, expected):
    outputs = jnp.array([-1e3, -6.0, 0.0, 6.0, 1e3])
    config = jaxsac.Config(log_std_map=log_std_map, log_std_min=-5.0, log_std_max=2.0)
    np.testing.assert_allclose(log_std_of(outputs, config), expected, rtol=1e-4)


def test_target_entropy_defaults_to_minus_the_action_dimension(agent):
    assert agent.hyperparameters.target_entropy == -ACTION_SIZE
    assert make_agent(target_entropy=-0.5).hyperparameters.target_entropy == -0.5
    half = jaxsac.Config((16, 16), target_entropy_scale=0.5)
    assert make_agent(config=half).hyperparameters.target_entropy == -ACTION_SIZE / 2
    assert make_agent(config=half, target_entropy=-0.7).hyperparameters.target_entropy == (
        jnp.float32(-0.7)
    )


def test_examples_may_be_shape_dtype_structs(agent):
    state = jaxsac.init(
        jax.random.key(0),
        jax.ShapeDtypeStruct((OBSERVATION_SIZE,), jnp.float32),
        jax.ShapeDtypeStruct((ACTION_SIZE,), jnp.float32),
        CONFIG,
        agent.hyperparameters,
    )
    assert_identical(state, agent)


def test_default_config_and_hyperparameters_are_canonical():
    assert jaxsac.Config().hidden_sizes == (256, 256)
    assert (jaxsac.Config().num_critics, jaxsac.Config().activation) == (2, "relu")
    h = jaxsac.Hyperparameters()
    assert (h.actor_lr, h.critic_lr, h.alpha_lr) == (3e-4, 3e-4, 3e-4)
    assert (h.gamma, h.tau, h.target_entropy, h.initial_alpha) == (0.99, 0.005, None, 1.0)


BAD_BATCHES = {
    "a column of rewards": (
        lambda b: b._replace(reward=b.reward[:, None]),
        r"leading axes disagree .*batch\.reward: \(8, 1\)",
    ),
    "rewards for another batch size": (
        lambda b: b._replace(reward=b.reward[:4]),
        r"leading axes disagree .*batch\.reward: \(4,\)",
    ),
    "observations of another size": (
        lambda b: b._replace(observation=b.observation[:, :2]),
        r"batch\.observation has shape \(8, 2\), expected \(\.\.\., 3\)",
    ),
    "actions without their axis": (
        lambda b: b._replace(action=b.action[:, 0]),
        r"batch\.action has shape \(8,\), expected \(\.\.\., 2\)",
    ),
    "integer rewards": (
        lambda b: b._replace(reward=b.reward.astype(int)),
        r"batch\.reward has dtype int32, expected float32",
    ),
    "boolean discounts": (
        lambda b: b._replace(discount=b.discount.astype(bool)),
        r"batch\.discount has dtype bool, expected float32",
    ),
    "next observations of another dtype": (
        lambda b: b._replace(next_observation=b.next_observation.astype(jnp.float16)),
        r"batch\.next_observation has dtype float16, expected float32",
    ),
    "observations in a dict": (
        lambda b: b._replace(observation={"x": b.observation}),
        r"batch\.observation is a dict, expected an array",
    ),
    "no discount": (
        lambda b: b._replace(discount=None),
        r"^batch\.discount is None, expected an array",
    ),
    "a plain tuple": (lambda b: tuple(b), r"batch must be a jaxsac.Transition, got tuple"),
    "two leading axes": (
        lambda b: jax.tree.map(lambda x: x[None], b),
        r"exactly one leading axis .* \(1, 8\)",
    ),
    "no leading axis": (
        lambda b: jax.tree.map(lambda x: x[0], b),
        r"exactly one leading axis .* \(\)",
    ),
    "no transitions": (
        lambda b: jax.tree.map(lambda x: x[:0], b),
        r"at least one transition.* \(0,\)",
    ),
}


@pytest.mark.parametrize("function", [jaxsac.update, jaxsac.gradient_terms, jaxsac.td_errors])
@pytest.mark.parametrize("name", BAD_BATCHES)
def test_a_malformed_batch_is_refused(name, function, agent, batch):
    spoil, message = BAD_BATCHES[name]
    with pytest.raises((ValueError, TypeError), match=message):
        function(agent, spoil(batch), KEY)


@pytest.mark.parametrize("target_entropy", [1.4, np.float32(2.0)])
def test_a_target_entropy_above_that_of_the_uniform_policy_is_refused(target_entropy):
    with pytest.raises(ValueError, match=r"target_entropy .* cannot be reached"):
        make_agent(target_entropy=target_entropy)


@pytest.mark.parametrize("target_entropy", [-np.inf, np.nan])
def test_a_target_entropy_that_is_not_finite_is_refused(target_entropy):
    with pytest.raises(ValueError, match=f"target_entropy must be finite, got {target_entropy}"):
        make_agent(target_entropy=target_entropy)


def test_a_target_entropy_just_below_that_of_the_uniform_policy_is_accepted():
    assert make_agent(target_entropy=1.38).hyperparameters.target_entropy == jnp.float32(1.38)


@pytest.mark.parametrize("initial_alpha", [0.0, -1.0])
def test_an_initial_temperature_that_has_no_logarithm_is_refused(initial_alpha):
    with pytest.raises(ValueError, match="initial_alpha"):
        make_agent(initial_alpha=initial_alpha)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.zeros(2, int), "floating"),
        (np.zeros((2, 3), np.float32), r"one vector \(A,\)"),
        (np.zeros((), np.float32), r"one vector \(A,\)"),
        (np.zeros(0, np.float32), r"one vector \(A,\)"),
        ({"x": np.zeros(2, np.float32)}, r"one vector \(A,\)"),
    ],
    ids=["integers", "matrix", "scalar", "empty", "dict"],
)
def test_an_action_example_that_is_not_a_floating_vector_is_refused(action, message):
    with pytest.raises(ValueError, match=message):
        jaxsac.init(KEY, np.zeros(3, np.float32), action)


def test_an_observation_of_another_size_is_refused_by_every_query(agent):
    wrong, key = jnp.zeros((4, OBSERVATION_SIZE + 1)), jax.random.key(0)
    message = r"observation.* has shape \(4, 4\), expected \(\.\.\., 3\)"
    for query in (
        lambda: jaxsac.act(agent, wrong),
        lambda: jaxsac.act(agent, wrong, key),
        lambda: jaxsac.sample(agent, wrong, key),
        lambda: jaxsac.q_values(agent, wrong, jnp.zeros((4, ACTION_SIZE))),
    ):
        with pytest.raises(ValueError, match=message):
            query()


def test_q_values_refuses_actions_for_other_observations(agent):
    with pytest.raises(ValueError, match="leading axes disagree"):
        jaxsac.q_values(agent, jnp.zeros((4, OBSERVATION_SIZE)), jnp.zeros((5, ACTION_SIZE)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_sizes": ()}, "hidden_sizes"),
        ({"hidden_sizes": (16, 0)}, "hidden_sizes"),
        ({"num_critics": 0}, "num_critics"),
        ({"activation": "sigmoid"}, "activation"),
        ({"actor_gradient": "mean"}, "actor_gradient must be one of"),
        ({"actor_samples": 0}, "actor_samples must be at least 1"),
        ({"num_critics": 2.0}, "num_critics must be at least 1, a whole number, got 2.0"),
        ({"num_critics": "2"}, "num_critics must be at least 1, a whole number, got '2'"),
        ({"value_bound": "5"}, "value_bound must be a number, got '5'"),
        ({"log_std_min": -math.inf}, "log_std_min must be a number, got -inf"),
        ({"log_std_min": 2.0}, "log_std_min"),
        ({"log_std_map": "exp"}, "log_std_map must be one of"),
        ({"alpha_loss": "log"}, "alpha_loss must be one of"),
        ({"initializer": "glorot"}, "initializer must be one of"),
        ({"log_prob_epsilon": -1e-6}, "log_prob_epsilon must be in"),
        ({"log_prob_epsilon": float("nan")}, "log_prob_epsilon must be a number"),
        ({"target_entropy_scale": float("inf")}, "target_entropy_scale must be a number"),
    ],
)
def test_a_config_out_of_range_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        jaxsac.Config(**fields)


@pytest.mark.parametrize("shape", [(), (3, 4), (2, 3, 2), (0,)])
def test_any_leading_axes_agree_with_the_flat_call(shape, agent):
    observation = jax.random.normal(KEY, (*shape, OBSERVATION_SIZE))
    action = jnp.tanh(jax.random.normal(KEY, (*shape, ACTION_SIZE)))
    flat_observation = observation.reshape(-1, OBSERVATION_SIZE)
    flat_action = action.reshape(-1, ACTION_SIZE)

    def check(actual, flat, leading=(), event=()):
        assert actual.shape == (*leading, *shape, *event)
        np.testing.assert_allclose(actual, flat.reshape(actual.shape), rtol=1e-5, atol=1e-6)

    event = (ACTION_SIZE,)
    check(jaxsac.act(agent, observation), jaxsac.act(agent, flat_observation), event=event)
    flat_sample, flat_log_prob = jaxsac.sample(agent, flat_observation, KEY)
    sampled, log_prob = jaxsac.sample(agent, observation, KEY)
    check(sampled, flat_sample, event=event)
    check(log_prob, flat_log_prob)
    check(jaxsac.act(agent, observation, KEY), flat_sample, event=event)
    flat_q = jaxsac.q_values(agent, flat_observation, flat_action)
    check(jaxsac.q_values(agent, observation, action), flat_q, leading=(2,))


@pytest.mark.usefixtures("x64")
def test_queries_agree_with_the_numpy_oracle():
    state, batch = make_agent(), make_batch()
    observation = np.asarray(batch.observation)
    actor = oracle.from_params(state.actor.params)
    mean = oracle.forward(actor, observation)[0][:, :ACTION_SIZE]
    np.testing.assert_allclose(jaxsac.act(state, batch.observation), np.tanh(mean), rtol=1e-9)
    noise = jax.random.normal(KEY, mean.shape)
    action, log_prob, _ = oracle.draw(actor, observation, np.asarray(noise), (-10, 2))
    sampled, sampled_log_prob = jaxsac.sample(state, batch.observation, KEY)
    np.testing.assert_allclose(sampled, action, rtol=1e-9)
    np.testing.assert_allclose(sampled_log_prob, log_prob, rtol=1e-9)
    joint = np.concatenate([observation, batch.action], -1)
    q = [
        oracle.forward(c, joint)[0][:, 0] for c in oracle.ensemble_from_params(state.critic.params)
    ]
    np.testing.assert_allclose(
        jaxsac.q_values(state, batch.observation, batch.action), q, rtol=1e-9
    )


def test_act_without_a_key_is_deterministic_and_with_one_is_not(agent, batch):
    observation = batch.observation
    np.testing.assert_array_equal(jaxsac.act(agent, observation), jaxsac.act(agent, observation))
    first, second = (jaxsac.act(agent, observation, jax.random.key(k)) for k in (0, 1))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, jaxsac.act(agent, observation))


def image_and_vector(rng, *shape):
    return {
        "image": jnp.asarray(rng.integers(0, 3, (*shape, 2, 2, 1)), jnp.uint8),
        "vector": jnp.asarray(rng.normal(size=(*shape, 3)), jnp.float32),
    }


def test_observations_may_be_pytrees_of_several_dtypes(batch):
    rng = np.random.default_rng(0)
    state = jaxsac.init(KEY, image_and_vector(rng), jnp.zeros(ACTION_SIZE), CONFIG)
    batch = batch._replace(
        observation=image_and_vector(rng, 8), next_observation=image_and_vector(rng, 8)
    )
    after, metrics = jaxsac.update(state, batch, KEY)
    assert (int(after.step), int(after.skipped)) == (1, 0)
    assert np.isfinite(jax.tree.leaves(metrics)).all()
    observation = batch.observation
    assert jaxsac.act(state, observation).shape == (8, ACTION_SIZE)
    for name in observation:
        changed = {**observation, name: observation[name] + 1}
        assert not is_identical(jaxsac.act(state, changed), jaxsac.act(state, observation))
    with pytest.raises(
        ValueError, match=r"observation\['image'\] has dtype float32, expected uint8"
    ):
        jaxsac.act(state, {**observation, "image": observation["image"].astype(jnp.float32)})


def test_bytes_are_pixels_between_0_and_1():
    mlp = MLP(CONFIG.actor_settings, 2, jnp.float32)
    image = jnp.arange(4, dtype=jnp.uint8).reshape(1, 2, 2) * 80
    variables = mlp.init(KEY, image)
    expected = mlp.apply(variables, image.astype(jnp.float32) / 255)
    np.testing.assert_allclose(mlp.apply(variables, image), expected, rtol=1e-6)
    whole = mlp.apply(variables, image.astype(jnp.int32))
    assert not is_identical(whole, expected), "other whole numbers are what they are"


class LinearActor(nn.Module):
    action_size: int

    @nn.compact
    def __call__(self, observation):
        mean = nn.Dense(self.action_size)(observation)
        return mean, jnp.full_like(mean, -20.0)


class LinearCritic(nn.Module):
    num_critics: int

    @nn.compact
    def __call__(self, observation, action):
        return nn.Dense(self.num_critics)(jnp.concatenate([observation, action], -1)).T


def test_custom_linen_modules_take_the_place_of_the_networks(batch):
    config = jaxsac.Config(actor=LinearActor(ACTION_SIZE), critic=LinearCritic(3))
    state = make_agent(config=config)
    dense = state.actor.params["Dense_0"]
    expected = np.tanh(batch.observation @ dense["kernel"] + dense["bias"])
    np.testing.assert_allclose(jaxsac.act(state, batch.observation), expected, rtol=1e-5)
    np.testing.assert_allclose(jaxsac.act(state, batch.observation, KEY), expected, rtol=1e-5)
    assert jaxsac.q_values(state, batch.observation, batch.action).shape == (3, 8)
    after, metrics = jaxsac.update(state, batch, KEY)
    assert (int(after.step), int(after.skipped)) == (1, 0)
    assert np.isfinite(jax.tree.leaves(metrics)).all()
    assert not is_identical(after.critic.params, state.critic.params)


class Shaped(nn.Module):
    """A network of the right kind whose result is then transposed, cut or the like."""

    change: Callable
    critics: int = 0

    @nn.compact
    def __call__(self, observation, *action):
        if self.critics:
            return self.change(LinearCritic(self.critics)(observation, *action))
        return self.change(LinearActor(ACTION_SIZE)(observation))


WRONG_NETWORKS = {
    "transposed critic": ("critic", Shaped(lambda q: q.T, 3), r"critic returns \(1, 3\) for 1 obs"),
    "transposed critic of one": ("critic", Shaped(lambda q: q.T, 1), r"critic returns \(2, 1\)"),
    "critics in a tuple": (
        "critic", Shaped(tuple, 2), r"critic returns \[\(1,\), \(1,\)\].*expected one array"
    ),
    "critic without its ensemble": ("critic", Shaped(lambda q: q[0], 2), r"critic returns \(1,\)"),
    "actor of another action": (
        "actor", Shaped(lambda out: (out[0][:, :1], out[1][:, :1])), r"\[\(1, 1\), \(1, 1\)\] for 1"
    ),
    "actor with one deviation": (
        "actor", Shaped(lambda out: (out[0], out[1][:, :1])), r"\[\(1, 2\), \(1, 1\)\]"
    ),
    "actor without deviations": ("actor", Shaped(lambda out: out[0]), r"expected a tuple"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_NETWORKS)
def test_a_custom_network_that_returns_something_else_is_refused(name):
    role, network, message = WRONG_NETWORKS[name]
    with pytest.raises(ValueError, match=message):
        make_agent(config=jaxsac.Config(**{role: network}))


class Halved(nn.Module):
    """A network in bfloat16: of its layers, their parameters or both."""

    dtype: Any = None
    param_dtype: Any = jnp.float32
    returned: Any = None

    @nn.compact
    def __call__(self, observation, action):
        x = jnp.concatenate([observation, action], -1)
        q = nn.Dense(2, dtype=self.dtype, param_dtype=self.param_dtype)(x)
        return q.T.astype(self.returned or q.dtype)


class Switched(LinearCritic):
    """Never in training, as nobody knows of its switch."""

    def __call__(self, observation, action, training=False):
        return super().__call__(observation, action)


@pytest.mark.parametrize(
    ("critic", "said"),
    [
        (
            Halved(jnp.bfloat16),
            r"critic returns bfloat16, expected float32.*astype\(jnp\.float32",
        ),
        (Halved(param_dtype=jnp.bfloat16), r"critic has parameters of bfloat16 .*Dense_0"),
        (Switched(2), "critic's __call__ has an argument 'training'.*call it train"),
    ],
)
def test_a_network_that_would_not_be_trained_as_it_is_meant_is_refused(critic, said):
    with pytest.raises(ValueError, match=said):
        make_agent(config=jaxsac.Config(critic=critic))


def test_a_policy_of_fewer_bits_is_refused():
    halved = Shaped(lambda out: jax.tree.map(lambda x: x.astype(jnp.bfloat16), out))
    with pytest.raises(ValueError, match="actor returns bfloat16, expected float32"):
        make_agent(config=jaxsac.Config(actor=halved))


def test_a_network_may_compute_in_fewer_bits(batch):
    state = make_agent(config=jaxsac.Config(critic=Halved(jnp.bfloat16, returned=jnp.float32)))
    after, _ = jaxsac.update(state, batch, KEY)
    assert int(after.step) == 1
    assert jaxsac.q_values(after, batch.observation, batch.action).dtype == jnp.float32


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"actor": LinearActor}, r"actor must be a Linen module.*got the class LinearActor"),
        ({"critic": (1, 2)}, r"critic must be a Linen module.*got \(1, 2\)"),
        ({"actor": nnx.Linear(1, 1, rngs=nnx.Rngs(0))}, r"NNX: give .*bridge.to_linen\(Linear\)"),
        ({"critic": Shaped(np.sort, [2])}, "critic has a field that cannot be hashed"),
    ],
)
def test_what_is_no_network_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        jaxsac.Config(**fields)


def test_a_random_subset_is_of_the_critics_that_there_are():
    choice = {"target_pessimism": "random_subset", "subset_size": 3}
    make_agent(config=jaxsac.Config(critic=LinearCritic(3), **choice))
    with pytest.raises(ValueError, match="at most the 2 critics of your own"):
        make_agent(config=jaxsac.Config(critic=LinearCritic(2), **choice))
    with pytest.raises(ValueError, match="at most num_critics 2"):
        jaxsac.Config(**choice)


NUMPY_ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
}


@pytest.mark.parametrize("activation", NUMPY_ACTIVATIONS)
@pytest.mark.parametrize("normalization", ["none", "layer"])
def test_the_multilayer_perceptron_agrees_with_numpy(activation, normalization):
    config = jaxsac.Config((5,), activation, normalization=normalization)
    mlp = MLP(config.actor_settings, 2, jnp.float32)
    x = jax.random.normal(KEY, (4, 3))
    params = mlp.init(KEY, x)["params"]
    hidden = np.asarray(x) @ params["Dense_0"]["kernel"]
    if normalization == "layer":
        centered = hidden - hidden.mean(-1, keepdims=True)
        hidden = centered / np.sqrt(hidden.var(-1, keepdims=True) + 1e-6)
    expected = NUMPY_ACTIVATIONS[activation](hidden) @ params["Dense_1"]["kernel"]
    np.testing.assert_allclose(mlp.apply({"params": params}, x), expected, rtol=1e-4, atol=1e-5)


def test_config_chooses_activation_and_normalization():
    shape = jax.eval_shape(lambda: make_agent(config=jaxsac.Config((16,), normalization="layer")))
    for params in (shape.actor.params, shape.critic.params):
        assert "LayerNorm_0" in next(iter(params.values()))
    observation, relu, tanh = make_batch().observation, CONFIG, jaxsac.Config((16, 16), "tanh")
    # The same parameters: the activation alone is another.
    state = make_agent(config=relu)
    assert not is_identical(
        jaxsac.act(state, observation), jaxsac.act(state.replace(config=tanh), observation)
    )
