"""An agent that starts anew is a fresh one."""

import jax
import pytest

import jaxsac
from assertions import assert_identical
from jaxsac.sac.reset import reset


@pytest.mark.parametrize("value_network", [False, True])
def test_nothing_that_was_learned_is_left_and_counters_and_hyperparameters_stay(value_network):
    config = jaxsac.Config(hidden_sizes=(4,), normalization="layer", value_network=value_network)
    hyper = jaxsac.Hyperparameters(gamma=0.5, target_entropy=-0.3, initial_alpha=0.2)
    old, new = jax.random.split(jax.random.key(0))
    state = jaxsac.init(old, jax.numpy.zeros(3), jax.numpy.zeros(2), config, hyper)
    learned = jax.tree.map(lambda x: x + 7, state).replace(hyperparameters=state.hyperparameters)
    expected = jaxsac.init(new, jax.numpy.zeros(3), jax.numpy.zeros(2), config, hyper)
    assert_identical(
        jax.jit(reset)(learned, new), expected.replace(step=learned.step, skipped=learned.skipped)
    )
