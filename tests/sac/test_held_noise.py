"""Exploration whose noise is held: for how long, and what changes meanwhile."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from scipy import stats

import jaxsac
from jaxsac.sac import held_noise
from jaxsac.training import learner
from run_examples import small_run

LONGEST, ENVS = 4, 50


def changes(key, longest, num_envs, steps):
    """Whether each environment's noise is another than before, at each step; (T, E)."""

    def advance(noise, key):
        after = held_noise.advance(noise, key)
        return after, jax.random.key_data(after.key)

    noise = held_noise.init(longest, num_envs, key)
    _, numbers = jax.lax.scan(advance, noise, jax.random.split(key, steps))
    assert len(np.unique(numbers[0], axis=0)) == num_envs, "each has its own"
    return np.concatenate([[[True] * num_envs], (np.diff(numbers, axis=0) != 0).any(axis=-1)])


def test_how_long_noise_is_held_falls_with_the_square_of_the_length():
    is_new = changes(jax.random.key(0), LONGEST, ENVS, 400)
    # Whole ones alone, of those that began early enough to end here at any length.
    lengths = np.concatenate(
        [np.diff(starts)[starts[:-1] < 390] for starts in map(np.flatnonzero, is_new.T)]
    )
    assert len(lengths) > 10_000
    counts = np.bincount(lengths, minlength=LONGEST + 1)
    weights = 1 / np.arange(1.0, LONGEST + 1) ** 2
    assert counts.sum() == counts[1:].sum() == counts[1 : LONGEST + 1].sum()
    expected = len(lengths) * weights / weights.sum()
    assert stats.chisquare(counts[1 : LONGEST + 1], expected).pvalue > 0.01
    # Environments change apart from each other.
    assert len(np.unique(is_new, axis=1).T) == ENVS


def test_keys_of_both_kinds_are_held_alike():
    """Of two environments too, where a key of the old kind has as many numbers."""
    old = held_noise.init(LONGEST, 2, jax.random.PRNGKey(0))
    new = held_noise.init(LONGEST, 2, jax.random.key(0))
    for number in range(20):
        old = held_noise.advance(old, jax.random.PRNGKey(number))
        new = held_noise.advance(new, jax.random.key(number))
        np.testing.assert_array_equal(old.key, jax.random.key_data(new.key))
        np.testing.assert_array_equal(old.left, new.left)


def test_what_is_no_key_and_no_number_of_actions_is_refused():
    with pytest.raises(TypeError, match="key must be one random key"):
        held_noise.init(LONGEST, 2, 0)
    with pytest.raises(ValueError, match=r"longest must be a whole number from 1 on, got 1\.5"):
        held_noise.init(1.5, 2, jax.random.key(0))
    with pytest.raises(ValueError, match="longest must be a whole number from 1 on, got True"):
        held_noise.init(True, 2, jax.random.key(0))
    assert held_noise.init(np.int64(LONGEST), 2, jax.random.key(0)).longest == LONGEST
    for generator in ("rbg", "unsafe_rbg"):
        key = jax.random.key(0, impl=generator)
        with pytest.raises(ValueError, match=f"a key of {generator} cannot hold noise"):
            held_noise.init(LONGEST, 2, key)
        assert held_noise.init(1, 2, key).longest == 1


class Linear(nn.Module):
    """A policy whose mean and log σ are those that it observes."""

    @nn.compact
    def __call__(self, observation):
        self.param("unused", nn.initializers.zeros, (1,))
        return observation[:, :1], observation[:, 1:]


def test_the_policy_follows_the_state_while_its_noise_is_held():
    observations = np.random.default_rng(0).normal(0, 0.3, (40, 2, 3, 2)).astype(np.float32) - 0.5
    population = small_run(
        agent=jaxsac.Config(hidden_sizes=(8,), actor=Linear()), num_envs=3, noise_hold=LONGEST
    ).to_population()
    action = jax.ShapeDtypeStruct((1,), jnp.float32)
    init = jax.jit(functools.partial(learner.init, action=action))
    carry = init(population.learners, observations[0])
    act = jax.jit(lambda acting: learner._next_action(carry.agent, acting, False))
    acting = carry.acting
    noise, held = [], []
    for observation in observations:
        acting = act(acting._replace(observation=observation))
        mean, log_std = observation[..., 0], observation[..., 1]
        noise.append((np.arctanh(acting.action[..., 0]) - mean) / np.exp(log_std))
        held.append(jax.random.key_data(acting.noise.key))
    noise, held = np.array(noise), np.array(held)
    same = (held[1:] == held[:-1]).all(axis=-1)
    assert 0.2 < same.mean() < 0.6
    np.testing.assert_allclose(noise[1:][same], noise[:-1][same], atol=1e-3)
    assert np.median(np.abs(noise[1:] - noise[:-1])[~same]) > 0.5
    # Each seed and environment draws its own.
    assert np.median(np.abs(noise[:, :, :1] - noise[:, :, 1:])) > 0.5
    assert np.median(np.abs(noise[:, :1] - noise[:, 1:])) > 0.5
