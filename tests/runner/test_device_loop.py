import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsac.envs import device
from jaxsac.envs.pendulum import Pendulum
from jaxsac.runner import device_loop, loop
from run_examples import FAST, NET, assert_identical

pytestmark = pytest.mark.usefixtures("quick_compilation")

ENV = Pendulum(time_limit=9)
SCHEDULE = loop.Schedule(learning_starts=16, utd=1)
NUM_ENVS, BATCH_SIZE = 2, 4


def start(members=(3, 4)):
    init = functools.partial(device_loop.init, env=ENV, num_envs=NUM_ENVS, capacity=100,
        batch_size=BATCH_SIZE, config=NET, hyperparameters=FAST)  # fmt: skip
    return jax.jit(init)(jnp.asarray(members))


def learn(carry, count, step=0, **options):
    chunk = functools.partial(device_loop.learn_chunk, env=ENV, batch_size=BATCH_SIZE, **options)
    return jax.jit(chunk, donate_argnums=0)(
        carry, device_loop.works(SCHEDULE, step, 30, NUM_ENVS), count
    )


def numbers(carry):
    """All arrays, the typed keys as numbers."""
    return jax.tree.map(
        lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x,
        carry,
    )


def assert_close(actual, expected, atol):
    for a, b in zip(*map(jax.tree.leaves, (numbers(actual), numbers(expected))), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol)


def test_a_chunk_does_what_its_steps_do_one_by_one():
    carry = expected = start()
    step = jax.jit(functools.partial(loop.learn_step, batch_size=BATCH_SIZE))
    env_step = jax.jit(jax.vmap(lambda e, a: device.step(ENV, e, a)))
    for number in range(20):
        before = NUM_ENVS * number
        envs, arrival, _ = env_step(expected.envs, expected.action)
        work = SCHEDULE.work(before, before + NUM_ENVS)
        learning, action = step(expected.learning, *arrival, work)
        expected = device_loop.DeviceCarry(learning, envs, action)
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
    together, _ = learn(start((3, 4)), 16)
    alone, _ = learn(start((4,)), 16)
    member = jax.tree.map(lambda leaf: leaf[1:], numbers(together))
    assert_close(member, alone, atol=1e-5)
