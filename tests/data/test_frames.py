"""Frames that are stored once give the batches of stacks that are stored whole."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from assertions import assert_identical
from jaxsac.data import frame_stack, frames, n_step, replay
from jaxsac.types import Transition, transition_of

FRAME = {
    "image": jax.ShapeDtypeStruct((2, 3, 2), jnp.uint8),
    "speed": jax.ShapeDtypeStruct((1,), jnp.float32),
}
ACTION = jax.ShapeDtypeStruct((1,), jnp.float32)
GAMMA = 0.9

take = jax.jit(jax.vmap(replay.row, in_axes=(None, 0)))
resolve = jax.jit(frames.resolve)
sample = jax.jit(replay.sample, static_argnums=2)


class Rings:
    """One stream of steps, into a replay of stacks and into one of numbers and frames."""

    def __init__(self, size, num_envs, capacity, num_steps=1):
        self.size = size
        seen = transition_of(frame_stack.structs(FRAME, size), ACTION)
        self.frames: Any = frames.init(size, num_envs, capacity, FRAME, num_steps)
        kept = frames.stored(self.frames, seen)
        self.plain, self.numbers = (replay.init(capacity, each) for each in (seen, kept))
        self.windows = [n_step.init(num_steps, num_envs, each) for each in (seen, kept)]

    def follow(self, steps, valid, over):
        """Takes in steps (T, E, ...) with stacks in a compiled loop."""
        state = (self.frames, self.plain, self.numbers, *self.windows)
        state = _follow(state, (steps, jnp.asarray(valid), jnp.asarray(over)))
        self.frames, self.plain, self.numbers, *self.windows = state

    def assert_alike(self):
        """The latest transitions whose frames are there, in their order, and batches of them."""
        whole, size, position = (
            int(x) for x in (self.frames.whole, self.plain.size, self.plain.position)
        )
        rows = jnp.arange(position - whole, position) % self.plain.capacity
        assert_identical(resolve(self.frames, take(self.numbers, rows)), take(self.plain, rows))
        if whole == size:
            key = jax.random.key(size)
            drawn = sample(self.numbers, key, 5, self.frames.whole)
            assert_identical(resolve(self.frames, drawn), sample(self.plain, key, 5))
        return whole, size


@jax.jit
def _follow(state, stream):
    def one_step(state, each):
        stacked, plain, numbers, window, numbered = state
        step, valid, over = each
        window, rows, complete = n_step.push(window, step, valid, over, GAMMA)
        plain = replay.add(plain, rows, complete)
        stacked, step = frames.record(stacked, step, valid, over)
        numbered, rows, complete = n_step.push(numbered, step, valid, over, GAMMA)
        numbers = replay.add(numbers, rows, complete)
        return (
            frames.after_insert(stacked, numbers, complete),
            plain,
            numbers,
            window,
            numbered,
        ), ()

    return jax.lax.scan(one_step, state, stream)[0]


def episodes(size, num_envs, length, mean, seed=0, invalid=0.0):
    """Random episodes side by side as steps (T, E, ...) with stacks; which are valid, and over."""
    random = np.random.default_rng(seed)
    draw = functools.partial(_frames, random, num_envs)
    stack, found = frame_stack.begin(draw(), size, np), []
    for _ in range(length):
        new, ends = draw(), random.random(num_envs) < 1 / mean
        valid = random.random(num_envs) >= invalid
        over = ends | ~valid
        discount = np.where(ends & (random.random(num_envs) < 0.5), 0, 1).astype(np.float32)
        action = random.random((num_envs, 1), np.float32)
        reward = random.random(num_envs, np.float32)
        step = Transition(stack, action, reward, discount, frame_stack.push(stack, new, np))
        there = jax.tree.map(
            lambda a, b, over=over: np.where(over.reshape(-1, *[1] * (a.ndim - 1)), a, b),
            draw(), new,
        )  # fmt: skip
        found.append((step, valid, over))
        stack = frame_stack.follow(stack, there, over, np)
    return jax.tree.map(lambda *each: np.stack(each), *found)


def _frames(random, num_envs):
    return {
        "image": random.integers(0, 256, (num_envs, 2, 3, 2), np.uint8),
        "speed": random.random((num_envs, 1), np.float32),
    }


@pytest.mark.parametrize(
    ("size", "num_envs", "num_steps", "invalid"), [(3, 1, 1, 0.0), (4, 3, 1, 0.1), (2, 2, 3, 0.1)]
)
def test_batches_are_those_of_stacks_stored_whole(size, num_envs, num_steps, invalid):
    rings = Rings(size, num_envs, capacity=40, num_steps=num_steps)
    stream = episodes(size, num_envs, 160, mean=12, invalid=invalid)
    for first in range(0, 160, 20):  # the ring of transitions turns, and that of frames
        rings.follow(*jax.tree.map(lambda x, first=first: x[first : first + 20], stream))
        whole, size_now = rings.assert_alike()
        assert whole == size_now
    assert int(rings.frames.written) > rings.frames.capacity
    assert int(rings.plain.size) == 40


def test_of_short_episodes_the_oldest_are_no_longer_drawn():
    rings = Rings(size=3, num_envs=2, capacity=400)
    stream = episodes(3, 2, 900, mean=1.5, invalid=0.2)
    whole = size = 0
    for first in range(0, 900, 100):
        rings.follow(*jax.tree.map(lambda x, first=first: x[first : first + 100], stream))
        whole, size = rings.assert_alike()
    assert 200 <= whole < size == 400
    # Every one of the latest is drawn, and no other.
    numbered = rings.numbers.replace(
        rows=jax.tree.map(
            lambda x: jnp.broadcast_to(jnp.arange(400, dtype=x.dtype)[:, None], x.shape),
            rings.numbers.rows,
        )
    )
    drawn = replay.sample(numbered, jax.random.key(0), 400, rings.frames.whole).reward
    many = np.concatenate(
        [drawn]
        + [replay.sample(numbered, jax.random.key(k), 400, rings.frames.whole).reward
           for k in range(1, 15)]
    )  # fmt: skip
    position = int(rings.numbers.position)
    assert set(many) == {(position - 1 - back) % 400 for back in range(whole)}


def test_steps_that_are_no_transitions_cost_no_frames():
    rings = Rings(size=2, num_envs=1, capacity=10)
    good = episodes(2, 1, 10, mean=100)
    rings.follow(*good)
    written = int(rings.frames.written)
    rings.follow(*episodes(2, 1, 100, mean=100, invalid=1.0))
    assert int(rings.frames.written) == written
    assert rings.assert_alike() == (10, 10)


@pytest.mark.parametrize("size", [2, 3, 4, 8])
def test_it_takes_a_kth_of_the_memory_and_five_percent(size):
    image = jax.ShapeDtypeStruct((84, 84, 3), jnp.uint8)
    seen = transition_of(frame_stack.structs(image, size), ACTION)
    whole = replay.plan(10_000, seen).total_bytes
    once: Any = jax.eval_shape(lambda: frames.init(size, 4, 10_000, image, 3))
    numbers = replay.plan(10_000, frames.stored(once, seen)).total_bytes
    held = numbers + sum(x.size for x in once.rows.values())
    assert held / whole < 1 / size + 0.05
    assert held / whole < 0.6 / size  # the next observation shares frames too


def test_a_stack_of_one_is_the_observation():
    assert frames.init(1, 2, 10, FRAME, 1) == ()
    assert frame_stack.structs(FRAME, 1) is FRAME
    assert frame_stack.begin(FRAME, 1) is FRAME
    images = np.zeros((2, 3))
    assert frame_stack.push(images, images) is images


def test_a_stack_of_ones_own_holds_the_latest_observations():
    stack = frame_stack.FrameStack(3)
    with pytest.raises(RuntimeError, match="reset"):
        stack.step([1.0, 2.0])
    np.testing.assert_array_equal(stack.reset([1.0, 2.0]), [1, 2, 1, 2, 1, 2])
    stack.step([3.0, 4.0])
    np.testing.assert_array_equal(stack.step([5.0, 6.0]), [1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(stack.reset([7.0, 8.0]), [7, 8, 7, 8, 7, 8])
    with pytest.raises(ValueError, match=r"shape \(3,\), expected \(2,\)"):
        stack.step([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="structure"):
        stack.step({"a": [1.0, 2.0]})
    with pytest.raises(ValueError, match="single number"):
        stack.reset(3.0)
    for size in (0, None, 1.5):
        with pytest.raises(ValueError, match=f"at least 1 observation, got {size}"):
            frame_stack.FrameStack(size)


@pytest.mark.parametrize("size", [1, 2])
def test_what_is_done_to_a_stack_in_place_stays_out_of_the_next(size):
    stack, first = frame_stack.FrameStack(size), np.ones(2)
    seen = stack.reset(first)
    seen /= 10
    np.testing.assert_array_equal(first, 1)
    seen = stack.step(np.full(2, 2.0))
    np.testing.assert_array_equal(seen, [1, 1, 2, 2][-2 * size :])
    seen /= 10
    np.testing.assert_array_equal(stack.step(np.full(2, 3.0)), [2, 2, 3, 3][-2 * size :])


def test_a_stack_of_many_begins_anew_where_it_is_told_to():
    stack = frame_stack.FrameStack(2)
    stack.reset([[1.0], [10.0]])
    now = stack.step([[2.0], [-1.0]], first=[False, True])
    np.testing.assert_array_equal(now, [[1, 2], [-1, -1]])


def test_a_single_number_cannot_be_stacked():
    with pytest.raises(ValueError, match=r"observation\['time'\] is a single number"):
        frame_stack.structs({"time": jax.ShapeDtypeStruct((), jnp.float32)}, 2)
