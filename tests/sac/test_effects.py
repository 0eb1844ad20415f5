"""What is said to have no effect has none."""

import jax
from examples import make_agent, make_batch

import jaxsac
from jaxsac.sac.effects import why_idle

IDLE = {
    "batch_norm_momentum": 0.5, "batch_norm_epsilon": 0.1, "renorm_warmup": 3, "num_quantiles": 7,
    "num_atoms": 7, "value_bound": 2.0, "subset_size": 1, "dropped_quantiles": 1,
}  # fmt: skip
"""Beside the defaults."""


def test_settings_without_effect_leave_the_update_as_it_is():
    def update_with(**settings):
        state = make_agent(config=jaxsac.Config(hidden_sizes=(8,), **settings))
        program = jax.make_jaxpr(lambda batch, key: jaxsac.update(state, batch, key)[1])
        return str(program(make_batch(), jax.random.key(0)))

    values = vars(jaxsac.Config(**IDLE)) | vars(jaxsac.Hyperparameters())
    assert all(why_idle(name, values) for name in IDLE)
    assert update_with(**IDLE) == update_with()
    assert update_with(num_critics=3) != update_with(), "what has an effect shows"
