"""Whole runs on environments whose Q function is known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsac
from jaxsac.sac.value_network import Value
from probe_environments import Aim
from run_examples import small_run, trained

# Without a bonus for entropy: the temperature is tiny and stays.
LEARN = jaxsac.Hyperparameters(
    actor_lr=3e-3, critic_lr=1e-2, alpha_lr=0.0, gamma=0.9, tau=0.1, initial_alpha=1e-8
)
START, LATER = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 1.0]])


def learn(env, directory, steps, value_network=False):
    config = small_run(
        env=f"probe_environments:{env}-v0",
        seeds=1,
        steps=steps,
        learning_starts=1000,  # half of replay has actions from all over the box
        utd=2.0,
        num_envs=4,
        batch_size=64,
        replay_capacity=2000,
        log_every=1000,
        agent=jaxsac.Config(hidden_sizes=(16, 16), value_network=value_network),
        hyperparameters=LEARN,
    )
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), trained(config, directory))


def q_of(agent, observation):
    """The smallest and largest Q of all critics, at actions over the whole box."""
    actions = jnp.linspace(-0.9, 0.9, 7)[:, None]
    q = jaxsac.q_values(agent, jnp.repeat(observation, 7, axis=0), actions)
    return float(q.min()), float(q.max())


def test_a_time_limit_is_not_the_end_of_the_world(tmp_path):
    # The later state pays 1 for ever: 1 / (1 - 0.9). Taking the limit for an end would give 3.1,
    # bootstrapping from the next episode's start 8.2.
    agent = learn("TwoStateLimit", tmp_path / "run", steps=2000)
    np.testing.assert_allclose(q_of(agent, LATER), 10, rtol=0.02)
    np.testing.assert_allclose(q_of(agent, START), 9, rtol=0.02)


@pytest.mark.slow  # in one update sac/test_losses.py compares all of it
def test_a_value_network_learns_the_same_values(tmp_path):
    agent = learn("TwoStateLimit", tmp_path / "run", steps=2000, value_network=True)
    np.testing.assert_allclose(q_of(agent, LATER), 10, rtol=0.02)
    np.testing.assert_allclose(q_of(agent, START), 9, rtol=0.02)
    value = Value(agent.config.critic_settings, agent.action_spec.tree.dtype)
    for params in (agent.critic.value.params, agent.critic.target_value_params):
        for state, expected in ((LATER, 10), (START, 9)):
            found = value.apply({"params": params}, state)
            np.testing.assert_allclose(found, expected, rtol=0.02)


def test_a_termination_is(tmp_path):
    # A quarter of the later state's visits are the last: q = 1 + 0.9 · 3/4 · q.
    agent = learn("TwoStateEnd", tmp_path / "run", steps=2000)
    expected = 1 / (1 - 0.9 * 0.75)
    # A batch seldom has exactly a quarter of them: the critic keeps moving a little.
    np.testing.assert_allclose(q_of(agent, LATER), expected, rtol=0.15)
    np.testing.assert_allclose(q_of(agent, START), 0.9 * expected, rtol=0.15)


@pytest.mark.slow  # the loops of docs/own-loop.md find theirs; the actor's step is test_losses.py's
def test_the_best_action_is_found_with_its_value(tmp_path):
    agent = learn("Aim", tmp_path / "run", steps=2000)
    observation = jnp.linspace(-1, 1, 5)[:, None]
    np.testing.assert_allclose(jaxsac.act(agent, observation), Aim.TARGET, atol=0.1)
    actions = jnp.full((5, 1), Aim.TARGET)
    np.testing.assert_allclose(jaxsac.q_values(agent, observation, actions), 1, atol=0.05)
