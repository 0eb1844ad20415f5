"""Functions of environments in JAX that are not pure are told by their tracings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsac.envs.fitness import check_in_jax
from jaxsac.envs.in_jax.pendulum import Pendulum
from jaxsac.envs.in_jax.purity import impurity


class Counting(Pendulum):
    """Counts its tracings, to what end `pay` says."""

    traced = 0

    def __init__(self, pay):
        super().__init__(time_limit=10)
        self.pay, self.table, self.key = pay, jnp.arange(100.0), jax.random.key(3)

    def step(self, state, action):
        self.traced += 1
        return state.replace(reward=self.pay(self, state.reward))


@pytest.mark.parametrize(
    "pay",
    [
        lambda env, reward: jnp.float32(env.traced),
        lambda env, reward: reward * env.traced,
        lambda env, reward: env.table[env.traced],
        lambda env, reward: jax.lax.cond(reward > 0, lambda: 1.0, lambda: float(env.traced)),
        lambda env, reward: reward + jnp.arange(9.0)[: env.traced].sum(),
        lambda env, reward: reward + 2 if env.traced % 2 else reward * 2,
    ],
    ids=["result", "operand", "place", "branch", "length", "operation"],
)
def test_a_number_kept_in_self_is_told(pay):
    env = Counting(pay)
    vars(env)["step"] = env.step  # one object, whose tracing JAX keeps
    said = impurity(env)
    assert said is not None
    assert said.startswith("step is not pure")


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["plain", "in another program"])
def test_a_draw_from_numpy_is_told(wrap):
    class Drawing(Pendulum):
        def reset(self, key):
            state, draw = super().reset(key), np.random.default_rng()
            return state.replace(
                observation=wrap(lambda x: x + jnp.float32(draw.normal(size=3)))(state.observation)
            )

    (found,) = check_in_jax.check(Drawing())
    assert found.verdict == "bad"
    assert "reset is not pure: traced again, it has other constants" in found.detail


def test_what_is_pure_may_count_hold_keys_and_call_back():
    def called(env, reward):
        number = jax.pure_callback(lambda: np.float32(0), reward, vmap_method="sequential")
        return reward + number + jax.random.uniform(env.key)

    env = Counting(called)
    assert impurity(env) is None
    assert env.traced
    env.pay = lambda env, reward: reward + jax.random.uniform(jax.random.key(env.traced))
    assert impurity(env) is not None
