"""What the functions of one's own loop are given by mistake, and what they say."""

import warnings

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import make_agent, make_batch

import jaxsac

KEY = jax.random.key(0)


def test_a_batch_that_would_train_on_something_else_is_named():
    agent, batch = make_agent(), make_batch()
    jaxsac.check_batch(agent, batch)
    reward = batch.reward.at[1].set(jnp.nan)
    wrong = batch._replace(
        action=2 * jnp.ones_like(batch.action), discount=batch.discount.at[0].set(99), reward=reward
    )
    with pytest.raises(ValueError, match=r"batch\.reward: 1 of \d+ values are not finite") as found:
        jaxsac.check_batch(agent, wrong)
    said = str(found.value)
    assert (
        f"batch.action: {batch.action.size} of {batch.action.size} values are outside [-1, 1]"
        in said
    )
    assert "batch.discount: 1 of" in said
    assert "0 where the process terminated" in said
    observation = jax.tree.map(lambda x: jnp.full_like(x, jnp.inf), batch.observation)
    with pytest.raises(ValueError, match=r"batch\.observation.* not finite"):
        jaxsac.check_batch(agent, batch._replace(observation=observation))
    with pytest.raises(ValueError, match="batch"):
        jaxsac.check_batch(agent, batch._replace(reward=batch.reward[:, None]))
    # Finite in the 64 bits that it comes in, and not in those of the agent.
    with pytest.raises(ValueError, match=r"batch\.reward: 8 of 8 values are not finite"):
        jaxsac.check_batch(agent, batch._replace(reward=np.full(8, 1e39)))


def test_whole_numbers_of_a_batch_that_32_bits_do_not_have_are_named():
    counts = np.array([[3_000_000_000]])
    agent = jaxsac.init(KEY, counts[0], jnp.zeros(1), jaxsac.Config(hidden_sizes=(4,)))
    one = jnp.ones(1)
    batch = jaxsac.Transition(counts, jnp.zeros((1, 1)), one, one, np.zeros_like(counts))
    with pytest.raises(ValueError, match=r"batch\.observation: whole numbers from 3000000000 to"):
        jaxsac.check_batch(agent, batch)


@pytest.mark.parametrize("factor", [0, 0.99], ids=["terminated", "with gamma"])
def test_a_batch_without_a_discount_of_1_is_remarked(factor):
    agent, batch = make_agent(), make_batch()
    with pytest.warns(UserWarning, match=r"batch\.discount: none of \d+ values is 1"):
        jaxsac.check_batch(agent, batch._replace(discount=factor * batch.discount))
    with warnings.catch_warnings(action="error"):
        jaxsac.check_batch(agent, batch)


@pytest.mark.parametrize(
    "key", [0, np.int64(3), 1.5, "seed", jnp.ones(3), jnp.zeros(3, jnp.uint32)]
)
def test_what_is_no_key_is_refused_by_name(key):
    agent, batch = make_agent(), make_batch()
    observation = jax.tree.map(lambda x: x[0], batch.observation)
    calls = [lambda: jaxsac.init(key, np.zeros(3), np.zeros(2))]
    if not isinstance(key, str):  # which jax.jit refuses, and names
        calls += [
            lambda: jaxsac.act(agent, observation, key),
            lambda: jaxsac.sample(agent, observation, key),
            lambda: jaxsac.update(agent, batch, key),
            lambda: jaxsac.gradient_terms(agent, batch, key),
        ]
    for call in calls:
        with pytest.raises(
            TypeError, match=r"key must be one random key of JAX.*jax.random.key\(0"
        ):
            call()
    jaxsac.act(agent, observation, jax.random.PRNGKey(0))


def test_spaces_in_place_of_examples_are_refused_by_name():
    box = gymnasium.spaces.Box(-1, 1, (3,), np.float32)
    for observation in (box, {"camera": box}, gymnasium.spaces.Dict(a=box)):
        with pytest.raises(TypeError, match=r"observation must be an example.*the space"):
            jaxsac.init(KEY, observation, np.zeros(2, np.float32))
    with pytest.raises(TypeError, match="action must be an example"):
        jaxsac.init(KEY, np.zeros(3, np.float32), box)
    assert jaxsac.init(KEY, box.sample(), np.zeros(2, np.float32), jaxsac.Config((4,)))


def test_settings_and_examples_of_another_kind_are_refused_by_name():
    x = np.zeros(3, np.float32)
    with pytest.raises(TypeError, match=r"config must be a jaxsac.Config, got Hyperparameters"):
        jaxsac.init(KEY, x, x, jaxsac.Hyperparameters())
    with pytest.raises(TypeError, match=r"hyperparameters must be a jaxsac.Hyperparameters, got C"):
        jaxsac.init(KEY, x, x, jaxsac.Config(), jaxsac.Config())
    with pytest.raises(TypeError, match="action must be an example in numbers, got 'left'"):
        jaxsac.init(KEY, x, "left")
    with pytest.raises(ValueError, match=r"hidden_sizes must be positive integers, as \(256"):
        jaxsac.Config(hidden_sizes="16,16")


@pytest.mark.parametrize("gamma", ["0.9", None, True, [0.9, 0.99], np.array([0.9, 0.99])])
def test_a_hyperparameter_that_is_not_one_number_is_refused_by_name(gamma):
    x = np.zeros(3, np.float32)
    with pytest.raises(TypeError, match="gamma must be one number, got "):
        jaxsac.init(KEY, x, x, hyperparameters=jaxsac.Hyperparameters(gamma=gamma))


def test_what_is_neither_on_nor_off_is_refused():
    for name in ("value_network", "clip_gradients", "hidden_biases", "normalize_inputs"):
        for wrong in ("no", 1):
            with pytest.raises(ValueError, match=f"{name} must be True or False, got {wrong!r}"):
                jaxsac.Config(**{name: wrong})


def test_weights_and_rhythm_of_an_update_are_refused_by_name():
    agent, batch = make_agent(), make_batch()
    size = len(batch.reward)
    for weight in ([1.0] * size, np.ones(size, complex)):
        with pytest.raises(ValueError, match="weight must be an array of numbers"):
            jaxsac.update(agent, batch, KEY, weight)
    for due in (0.5, np.ones(size, bool)):
        with pytest.raises(ValueError, match="actor_due must be one bool for the whole batch"):
            jaxsac.update(agent, batch, KEY, actor_due=due)
    with pytest.raises(ValueError, match=r"`state\.acting`, which has no critics"):
        jaxsac.update(agent.acting, batch, KEY)
    with pytest.raises(ValueError, match=r"`state\.acting`, which has no critics"):
        jaxsac.q_values(agent.acting, batch.observation, batch.action)


def test_complex_observations_are_refused():
    with pytest.raises(ValueError, match="complex64: give real and imaginary parts"):
        jaxsac.init(KEY, np.zeros(3, np.complex64), np.zeros(2, np.float32))


def test_an_observation_of_nothing_is_refused():
    for nothing in (None, {}, np.zeros(0, np.float32)):
        with pytest.raises(ValueError, match=r"observation example .* has not one number"):
            jaxsac.init(KEY, nothing, np.zeros(2, np.float32))


def test_arguments_in_another_order_are_refused_by_name():
    agent, batch = make_agent(), make_batch()
    with pytest.raises(TypeError, match=r"state must be a jaxsac.State.*got Transition"):
        jaxsac.update(batch, agent, KEY)
    with pytest.raises(TypeError, match=r"batch must be a jaxsac\.Transition"):
        jaxsac.update(agent, KEY, batch)
    with pytest.raises(TypeError, match=r"state must be a jaxsac\.State"):
        jaxsac.act(batch.observation, agent)
    with pytest.raises(TypeError, match="key must be one random key"):
        jaxsac.init(np.zeros(3, np.float32), KEY, np.zeros(2, np.float32))


def test_several_agents_in_one_state_are_to_be_vmapped_over():
    x, batch = np.zeros(3, np.float32), make_batch()
    agents = jax.vmap(lambda key: jaxsac.init(key, x, x[:2], jaxsac.Config((4,))))(
        jax.random.split(KEY, 2)
    )
    for call in (
        lambda: jaxsac.update(agents, batch, KEY),
        lambda: jaxsac.act(agents, x),
        lambda: jaxsac.q_values(agents, x, x[:2]),
    ):
        with pytest.raises(ValueError, match=r"several agents, with leading axes \(2,\): vmap"):
            call()
    assert jax.vmap(jaxsac.act, (0, None))(agents, x).shape == (2, 2)
    agent = make_agent()
    for gamma, got in ((np.ones(3), r"an array of shape \(3,\)"), (None, "None")):
        several = agent.replace(hyperparameters=agent.hyperparameters.replace(gamma=gamma))
        with pytest.raises(ValueError, match=f"hyperparameters.gamma must be .*, got {got}"):
            jaxsac.update(several, batch, KEY)
