import functools

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from jaxsac.envs import device
from jaxsac.envs.pendulum import Pendulum

KEY = jax.random.key(0)


def rollout(env, actions, num_envs, key=KEY):
    """Arrivals and ended episodes of all steps, leading axis T."""
    envs, arrival = device.reset(env, key, num_envs)
    steps = [device.step]
    step = jax.jit(functools.partial(steps[0], env))
    found = []
    for action in actions:
        envs, arrival, ended = step(envs, action)
        found.append((arrival, ended))
    return jax.tree.map(lambda *rows: np.stack(rows), *found)


def uniform_actions(steps, num_envs, size=1):
    shape = (steps, num_envs, size)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def test_pendulum_is_gymnasiums_step_by_step():
    env, original = Pendulum(), gymnasium.make("Pendulum-v1").unwrapped
    original.reset(seed=0)
    step, state = jax.jit(env.step), env.reset(KEY)
    for action in uniform_actions(200, 1)[:, 0] * 1.5:
        original.state = np.array([state.angle, state.speed], np.float64)
        observation, reward, terminated, *_ = original.step(2 * action)
        state = step(state, action)
        np.testing.assert_allclose(state.observation, observation, atol=2e-6)
        np.testing.assert_allclose(state.reward, reward, rtol=1e-5, atol=1e-5)
        assert bool(state.terminated) == terminated


def test_a_whole_episode_of_pendulum_is_gymnasiums_but_for_rounding():
    env, original = Pendulum(), gymnasium.make("Pendulum-v1")
    original.reset(seed=0)
    step, state = jax.jit(env.step), env.reset(KEY)
    original.unwrapped.state = np.array([state.angle, state.speed], np.float64)
    for number, action in enumerate(uniform_actions(200, 1)[:, 0], start=1):
        observation, reward, _, truncated, _ = original.step(2 * action)
        state = step(state, action)
        np.testing.assert_allclose(state.observation, observation, atol=2e-3)
        np.testing.assert_allclose(state.reward, reward, atol=2e-3)
        assert bool(state.truncated) == truncated == (number == 200)


def test_starts_are_spread_like_gymnasiums():
    starts = jax.vmap(Pendulum().reset)(jax.random.split(KEY, 20_000))
    for values, bound in ((starts.angle, np.pi), (starts.speed, 1)):
        assert abs(values).max() <= bound
        np.testing.assert_allclose(
            np.quantile(values / bound, [0.25, 0.5, 0.75]), [-0.5, 0, 0.5], atol=0.03
        )


def test_the_last_observation_of_an_episode_is_the_true_one_and_the_next_starts_anew():
    arrival, ended = rollout(Pendulum(time_limit=7), uniform_actions(30, 3), 3)
    transition = arrival.transition
    last = np.zeros((30, 3), bool)
    last[6::7] = True
    np.testing.assert_array_equal(ended.mask, last)
    np.testing.assert_array_equal(ended.episode_length[last], 7)
    assert arrival.valid.all()
    np.testing.assert_array_equal(transition.discount, 1)
    # Within an episode one transition starts where the one before it ended.
    np.testing.assert_array_equal(arrival.observation[~last], transition.next_observation[~last])
    np.testing.assert_array_equal(transition.observation[1:], arrival.observation[:-1])
    moved = arrival.observation[last] - transition.next_observation[last]
    assert (abs(moved).max(axis=1) > 0.1).all()
    returns = transition.reward[:28].reshape(4, 7, 3).sum(axis=1)
    np.testing.assert_allclose(ended.episode_return[last].reshape(4, 3), returns, rtol=1e-5)


class Counter(struct.PyTreeNode):
    """Counts its steps."""

    count: jax.Array
    observation: dict
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array


class CounterEnv:
    """What happens at step 3 is up to the test."""

    action = jax.ShapeDtypeStruct((2,), jnp.float32)

    def __init__(self, reward=1.0, terminates=False, observed=3.0):
        self.at_three, self.terminates, self.observed = reward, terminates, observed

    def reset(self, key):
        return self._state(jnp.float32(0), jnp.float32(0), jnp.zeros((), bool))

    def step(self, state, action):
        three = state.count == 2
        count = jnp.where(three, self.observed, state.count + 1)
        return self._state(count, jnp.where(three, self.at_three, 1.0), three & self.terminates)

    def _state(self, count, reward, terminated):
        observation = {"count": count[None], "image": jnp.zeros((2, 2), jnp.uint8)}
        return Counter(count, observation, reward, terminated, jnp.zeros((), bool))


def test_a_termination_has_no_discount_and_a_cut_has_one():
    arrival, ended = rollout(CounterEnv(terminates=True), uniform_actions(7, 1, 2), 1)
    assert arrival.transition.discount[:, 0].tolist() == [1, 1, 0, 1, 1, 0, 1]
    assert arrival.observation["count"][:, 0, 0].tolist() == [1, 2, 0, 1, 2, 0, 1]
    assert ended.episode_return[ended.mask].tolist() == [3, 3]


@pytest.mark.parametrize("fault", [{"reward": np.nan}, {"observed": np.inf}])
def test_what_is_not_finite_is_no_transition_and_ends_its_episode_uncounted(fault):
    arrival, ended = rollout(CounterEnv(**fault), uniform_actions(7, 2, 2), 2)
    assert arrival.valid[:, 0].tolist() == [True, True, False, True, True, False, True]
    assert arrival.observation["count"][:, 1, 0].tolist() == [1, 2, 0, 1, 2, 0, 1]
    assert not ended.mask.any()


def test_an_action_that_is_not_finite_reaches_no_environment_and_ends_its_episode():
    actions = uniform_actions(3, 2)
    actions[1, 0] = np.nan
    arrival, _ = rollout(Pendulum(), actions, 2)
    assert arrival.valid.tolist() == [[True, True], [False, True], [True, True]]
    assert np.isfinite(arrival.transition.next_observation).all()


def test_copies_and_episodes_start_differently():
    arrival, _ = rollout(Pendulum(time_limit=1), uniform_actions(50, 4), 4)
    starts = arrival.observation.reshape(-1, 3)
    assert len(np.unique(starts.round(4), axis=0)) == len(starts)
