import functools

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from gymnasium.envs.classic_control import PendulumEnv

from jaxsac.envs.in_jax import device
from jaxsac.envs.in_jax.pendulum import Pendulum

KEY = jax.random.key(0)


def rollout(env, actions, num_envs, key=KEY):
    """Where each step began, its results and ended episodes, leading axis T."""
    envs = device.reset(env, key, num_envs)
    step = jax.jit(functools.partial(device.step, env))
    found = []
    for action in actions:
        before = envs.state.observation
        envs, result, ended = step(envs, action)
        found.append((before, result, ended))
    return jax.tree.map(lambda *rows: np.stack(rows), *found)


def uniform_actions(steps, num_envs, size=1):
    shape = (steps, num_envs, size)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def test_pendulum_is_gymnasiums_step_by_step():
    env, original = Pendulum(), gymnasium.make("Pendulum-v1").unwrapped
    assert isinstance(original, PendulumEnv)
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
    assert isinstance(original.unwrapped, PendulumEnv)
    original.reset(seed=0)
    step, state = jax.jit(env.step), env.reset(KEY)
    original.unwrapped.state = np.array([state.angle, state.speed], np.float64)
    for number, action in enumerate(uniform_actions(200, 1)[:, 0], start=1):
        observation, reward, _, truncated, _ = original.step(2 * action)
        state = step(state, action)
        np.testing.assert_allclose(state.observation, observation, atol=2e-3)
        np.testing.assert_allclose(state.reward, reward, atol=2e-3)
        assert truncated == (number == env.time_limit)


def test_starts_are_spread_like_gymnasiums():
    starts = jax.vmap(Pendulum().reset)(jax.random.split(KEY, 20_000))
    for values, bound in ((starts.angle, np.pi), (starts.speed, 1)):
        assert abs(values).max() <= bound
        np.testing.assert_allclose(
            np.quantile(values / bound, [0.25, 0.5, 0.75]), [-0.5, 0, 0.5], atol=0.03
        )


def test_the_last_observation_of_an_episode_is_the_true_one_and_the_next_starts_anew():
    before, result, ended = rollout(Pendulum(time_limit=7), uniform_actions(30, 3), 3)
    last = np.zeros((30, 3), bool)
    last[6::7] = True
    np.testing.assert_array_equal(ended.mask, last)
    np.testing.assert_array_equal(result.over, last)
    np.testing.assert_array_equal(ended.episode_length[last], 7)
    assert result.valid.all()
    np.testing.assert_array_equal(result.discount, 1)
    # Within an episode one transition starts where the one before it ended.
    np.testing.assert_array_equal(result.observation[~last], result.next_observation[~last])
    np.testing.assert_array_equal(before[1:], result.observation[:-1])
    moved = result.observation[last] - result.next_observation[last]
    assert (abs(moved).max(axis=1) > 0.1).all()
    returns = result.reward[:28].reshape(4, 7, 3).sum(axis=1)
    np.testing.assert_allclose(ended.episode_return[last].reshape(4, 3), returns, rtol=1e-5)


class Counter(struct.PyTreeNode):
    """Counts its steps."""

    count: jax.Array
    observation: dict
    reward: jax.Array
    terminated: jax.Array


class CounterEnv:
    """What happens at step 3 is up to the test."""

    action = jax.ShapeDtypeStruct((2,), jnp.float32)
    time_limit = 1000

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
        return Counter(count, observation, reward, terminated)


def test_a_termination_has_no_discount_and_a_cut_has_one():
    _, result, ended = rollout(CounterEnv(terminates=True), uniform_actions(7, 1, 2), 1)
    assert result.discount[:, 0].tolist() == [1, 1, 0, 1, 1, 0, 1]
    assert result.observation["count"][:, 0, 0].tolist() == [1, 2, 0, 1, 2, 0, 1]
    assert ended.episode_return[ended.mask].tolist() == [3, 3]


@pytest.mark.parametrize("fault", [{"reward": np.nan}, {"observed": np.inf}])
def test_what_is_not_finite_is_no_transition_and_ends_its_episode_uncounted(fault):
    _, result, ended = rollout(CounterEnv(**fault), uniform_actions(7, 2, 2), 2)
    assert result.valid[:, 0].tolist() == [True, True, False, True, True, False, True]
    assert result.observation["count"][:, 1, 0].tolist() == [1, 2, 0, 1, 2, 0, 1]
    assert not ended.mask.any()
    np.testing.assert_array_equal(result.over, ~result.valid)


def test_an_action_that_is_not_finite_reaches_no_environment_and_ends_its_episode():
    actions = uniform_actions(3, 2)
    actions[1, 0] = np.nan
    _, result, _ = rollout(Pendulum(), actions, 2)
    assert result.valid.tolist() == [[True, True], [False, True], [True, True]]
    assert np.isfinite(result.next_observation).all()


def test_copies_and_episodes_start_differently():
    _, result, _ = rollout(Pendulum(time_limit=1), uniform_actions(50, 4), 4)
    starts = result.observation.reshape(-1, 3)
    assert len(np.unique(starts.round(4), axis=0)) == len(starts)
