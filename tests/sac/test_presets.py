import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import make_batch

import jaxsac


@pytest.mark.usefixtures("x64")
def test_a_preset_makes_an_agent_whose_every_function_has_its_conventions():
    config, hyperparameters, *_ = jaxsac.preset("cleanrl")
    state = jaxsac.init(jax.random.key(0), jnp.zeros(3), jnp.zeros(2), config, hyperparameters)
    batch, key = make_batch(), jax.random.key(1)
    # Wide policies, so that ε = 1e-6 shows.
    wide = jax.tree.map(lambda x: 20 * x, state.actor.params)
    state = state.replace(actor=state.actor.replace(params=wide))
    action, log_prob = jaxsac.sample(state, batch.observation, key)
    assert jnp.max(jnp.abs(action)) > 0.999
    terms = jaxsac.gradient_terms(state, batch, key)
    parts = jax.tree.map(lambda *x: sum(x), terms.score, terms.entropy_path, terms.q_path)
    for part, total in zip(jax.tree.leaves(parts), jax.tree.leaves(terms.total), strict=True):
        np.testing.assert_allclose(part, total, rtol=1e-7, atol=1e-9)
    exact = state.replace(config=jaxsac.Config(log_std_map="tanh", log_std_min=-5.0))
    _, exact_log_prob = jaxsac.sample(exact, batch.observation, key)
    # log(1 - tanh² u + ε) is above log(1 - tanh² u).
    assert jnp.all(log_prob <= exact_log_prob + 1e-3)
    assert jnp.min(log_prob - exact_log_prob) < -1


def test_an_unknown_preset_is_refused_by_name():
    with pytest.raises(ValueError, match="no preset 'sb2'; there are sb3, sbx"):
        jaxsac.preset("sb2")
