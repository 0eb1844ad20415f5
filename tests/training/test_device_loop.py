import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxsac.envs.in_jax import device
from jaxsac.envs.in_jax.pendulum import Pendulum
from jaxsac.sac import agent as sac
from jaxsac.training import device_loop, learner
from jaxsac.training.carry import Policy
from jaxsac.types import is_key
from run_examples import LOOP, NET, assert_identical, small_run

ENV = Pendulum(time_limit=9)
RUN = small_run(
    env="any", num_envs=2, learning_starts=16, batch_size=4, replay_capacity=100
).to_population()
SCHEDULE, NUM_ENVS, BATCH_SIZE = RUN.schedule, RUN.num_envs, RUN.batch_size


init = jax.jit(functools.partial(device_loop.init, env=ENV))
chunk = jax.jit(
    functools.partial(device_loop.learn_chunk, env=ENV, batch_size=BATCH_SIZE), donate_argnums=0
)


def start(members=(3, 4), **options):
    return init(RUN.replace(seeds=jnp.asarray(members), **options))


def learn(carry, count, step=0):
    return chunk(carry, SCHEDULE.works(step, 30, NUM_ENVS), count)


def numbers(carry):
    """All arrays, the typed keys as numbers."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if is_key(x) else x, carry)


def assert_close(actual, expected, atol):
    for a, b in zip(*map(jax.tree.leaves, (numbers(actual), numbers(expected))), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol)


def test_a_chunk_does_what_its_steps_do_one_by_one():
    carry = expected = start()
    step = jax.jit(functools.partial(learner.learn_step, batch_size=BATCH_SIZE))
    env_step = jax.jit(jax.vmap(lambda e, a: device.step(ENV, e, a)))
    for number in range(20):
        before = NUM_ENVS * number
        envs, result, _ = env_step(expected.envs, expected.learning.action)
        work = SCHEDULE.work(before, before + NUM_ENVS)
        learning = step(expected.learning, result, work)
        expected = device_loop.DeviceCarry(learning, envs)
    carry, _ = learn(carry, 20)
    # Of 40 transitions 16 are warm-up, and nothing waits to be learned from.
    assert carry.learning.agent.step.tolist() == [24, 24]
    assert carry.learning.buffer.size.tolist() == [40, 40]
    assert_close(carry, expected, atol=1e-5)


def test_two_chunks_are_one_chunk_bit_for_bit():
    half, first = learn(start(), 10)
    whole, second = learn(half, 10, step=10 * NUM_ENVS)
    expected, finished = learn(start(), 20)
    assert_identical(numbers(whole), numbers(expected))
    # An episode of 9 steps after the other, in each copy.
    assert [each.episodes.tolist() for each in (first, second, finished)] == [
        [2, 2],
        [2, 2],
        [4, 4],
    ]
    np.testing.assert_allclose(first.returns + second.returns, finished.returns, rtol=1e-6)
    np.testing.assert_array_equal(finished.lengths, [36, 36])
    np.testing.assert_array_equal(finished.discarded, [0, 0])


def test_a_member_learns_beside_others_what_it_learns_alone():
    options = {**LOOP, "reset_every": 5}
    together, _ = learn(start((3, 4), **options), 16)
    alone, _ = learn(start((4,), **options), 16)
    member = jax.tree.map(lambda leaf: leaf[1:], numbers(together))
    assert_close(member, alone, atol=1e-5)


def test_members_start_in_states_of_their_own_and_in_those_that_they_have_alone():
    together = start((3, 4)).envs
    assert len(np.unique(together.state.angle)) == 4
    for index, number in enumerate((3, 4)):
        alone = start((number,)).envs
        # Their next episodes too: those start by the key.
        for one, all_ in zip(*map(jax.tree.leaves, numbers((alone, together))), strict=True):
            np.testing.assert_allclose(one[0], all_[index], rtol=1e-6)
    assert len(np.unique(jax.random.key_data(together.key), axis=0)) == 2


class Countdown(struct.PyTreeNode):
    left: jax.Array
    observation: jax.Array
    reward: jax.Array
    terminated: jax.Array


class OfAnyLength:
    """Episodes of one to nine steps, by their start; each step pays 1."""

    action = observation = jax.ShapeDtypeStruct((1,), jnp.float32)
    time_limit = 100

    def reset(self, key):
        return self._state(jax.random.randint(key, (), 1, 10))

    def step(self, state, action):
        return self._state(state.left - 1)

    def _state(self, left):
        return Countdown(left, left[None].astype(jnp.float32), jnp.ones(()), left == 0)


def test_only_the_first_episode_of_each_copy_counts_in_an_evaluation():
    env, key = OfAnyLength(), jax.random.key(1)
    agent = sac.init(key, env.observation, env.action, NET)
    evaluate = functools.partial(
        device_loop.evaluate, env=env, episodes=8, sampled=False, longest=100
    )
    returns, lengths = jax.jit(evaluate)(Policy(agent, ()), key)
    expected = device.reset(env, jax.random.split(key)[0], 8).state.left
    assert len(np.unique(expected)) > 3
    np.testing.assert_array_equal(lengths, expected)
    np.testing.assert_array_equal(returns, expected)
