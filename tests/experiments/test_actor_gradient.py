"""The levels of the actor gradient's identity, and the moments that the study measures."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsac
from jaxsac.sac.losses import actor_loss
from jaxsac.sac.networks import make_networks

sys.path.append(str(Path(__file__).parents[2] / "experiments" / "actor_gradient"))

import levels
import moments
import stored

pytestmark = pytest.mark.usefixtures("x64")

LEVELS = {
    "gaussian": levels.gaussian,
    "network": levels.network,
    "common mistake": lambda: levels.common_mistake(levels.mistake(10**5)),
    "kl form": lambda: levels.kl_form(10**4),
    "enumeration": levels.enumeration,
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in ("network", "common mistake")))
        for name in LEVELS
    ],
)
def test_every_line_of_the_table_holds(name):
    rows = list(LEVELS[name]())
    assert len(rows) >= 3
    assert [row for row in rows if not row.holds] == []


@pytest.mark.slow
def test_moments_are_those_of_the_gradients_themselves():
    config = jaxsac.Config(hidden_sizes=(8,))
    state = jaxsac.init(jax.random.key(0), jnp.zeros(3), jnp.zeros(2), config)
    networks = make_networks(config, state.action_spec)
    observation = jax.random.normal(jax.random.key(1), (5, 3))
    noise = jax.random.normal(jax.random.key(2), (4, 5, 2))
    found = moments.moments(state, observation, noise)

    def gradients(estimator):
        """Of every action alone, (K, N, parameters)."""

        def one(s, e):
            gradient, _ = jax.grad(actor_loss, has_aux=True)(
                state.actor.params, networks, state.actor, state.critic, state.alpha,
                s[None], e[None, None], jax.random.key(0), estimator,
            )  # fmt: skip
            return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(gradient)])

        return np.asarray(jax.vmap(jax.vmap(one), (None, 0))(observation, noise))

    for estimator, weights in {
        "total": (1, 1, 1, 0),
        "path": (0, 1, 1, 0),
        "score": (0, 0, 0, 1),
    }.items():
        g = gradients(estimator)
        within = g.var(axis=0, ddof=1).sum(1).mean()
        mean = np.sum(g.mean((0, 1)) ** 2) - within / 20
        states = g.mean(0).var(axis=0).sum() - within / 4 + within / 20
        for part, expected in (("noise", within), ("mean", mean), ("states", states)):
            actual = np.einsum("i,ij,j->", weights, getattr(found, part), weights)
            np.testing.assert_allclose(actual, expected, rtol=1e-9)


def test_dropping_the_score_term_takes_away_the_noise_that_is_not_cancelled():
    factors = np.random.default_rng(0).normal(size=(3, 4, 6))
    noise = factors @ factors.transpose(0, 2, 1)
    left = noise[:, 0, 0] * (1 - stored.cancelled(noise))
    total, path = (stored.square(noise, name) for name in ("total", "path"))
    np.testing.assert_allclose(total - path, left, rtol=1e-12)
