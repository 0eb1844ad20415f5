from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import serialization
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from scipy import stats

import jaxsac
from assertions import assert_identical
from jaxsac import Transition, replay

# In place or not, the compiler's optimizations decide.
pytestmark = pytest.mark.usefixtures("all_optimizations")

add = jax.jit(replay.add)
sample = jax.jit(replay.sample, static_argnums=2)
donating_add = jax.jit(replay.add, donate_argnums=0)


@jax.jit
def draw_one_per_key(buffer, keys):
    return jax.vmap(lambda key: replay.sample(buffer, key, 1))(keys)


def transitions(numbers):
    """Transitions of mixed dtypes and shapes whose every element tells the transition's number."""
    n = np.asarray(numbers, np.int32).reshape(-1)

    def spread(dtype, *shape, offset=0):
        column = (n + offset).reshape(-1, *(1 for _ in shape))
        return np.broadcast_to(column, (len(n), *shape)).astype(dtype)

    return Transition(
        observation={
            "image": spread(np.uint8, 2, 2, 1),
            "vector": spread(np.float32, 3, offset=0.25),
        },
        action=spread(np.float32, 2, offset=0.5),
        reward=spread(np.float32, offset=0.75),
        discount=spread(np.int32),
        next_observation={
            "image": spread(np.uint8, 2, 2, 1, offset=1),
            "vector": spread(np.float32, 3, offset=1.25),
        },
    )


EXAMPLE = jax.tree.map(lambda x: x[0], transitions([0]))


def row_numbers(drawn):
    """The numbers of the drawn transitions, after a check that all their fields belong together."""
    numbers = np.asarray(drawn.discount).reshape(-1)
    drawn = jax.tree.map(lambda x, e: np.reshape(x, (-1, *np.shape(e))), drawn, EXAMPLE)
    expected = transitions(numbers)
    assert jax.tree.structure(drawn) == jax.tree.structure(expected)
    for actual, leaf in zip(jax.tree.leaves(drawn), jax.tree.leaves(expected), strict=True):
        assert actual.dtype == leaf.dtype
        np.testing.assert_array_equal(actual, leaf)
    return numbers


class RingAgainstDeque(RuleBasedStateMachine):
    @initialize(capacity=st.sampled_from([1, 2, 5]))
    def start(self, capacity):
        self.buffer = replay.init(capacity, EXAMPLE)
        self.model = deque(maxlen=capacity)
        # Number 0 would look like a row that was never written.
        self.next_number = 1

    def new_numbers(self, count):
        numbers = np.arange(self.next_number, self.next_number + count)
        self.next_number += count
        return numbers

    @rule(count=st.sampled_from([1, 3, 12]))
    def insert(self, count):
        numbers = self.new_numbers(count)
        self.buffer = add(self.buffer, transitions(numbers))
        self.model.extend(numbers)

    @rule(data=st.data(), count=st.sampled_from([3, 12]))
    def insert_masked(self, data, count):
        mask = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
        numbers = self.new_numbers(count)
        self.buffer = add(self.buffer, transitions(numbers), mask)
        self.model.extend(numbers[mask])

    @rule()
    def insert_in_place(self):
        numbers = self.new_numbers(3)
        self.buffer = donating_add(self.buffer, transitions(numbers))
        self.model.extend(numbers)

    @invariant()
    def holds_exactly_what_the_deque_holds(self):
        if not hasattr(self, "model"):
            return
        assert int(self.buffer.size) == len(self.model)
        assert self.buffer.capacity == self.model.maxlen
        if self.model:
            # Of five rows, 128 draws miss one with a probability of 2e-12.
            drawn = draw_one_per_key(self.buffer, jax.random.split(jax.random.key(0), 128))
            assert set(row_numbers(drawn).tolist()) == set(self.model)


TestRingAgainstDeque = RingAgainstDeque.TestCase
TestRingAgainstDeque.settings = settings(
    max_examples=25, stateful_step_count=8, deadline=None, derandomize=True, database=None
)


def test_an_insert_of_no_transitions_changes_nothing():
    buffer = add(replay.init(4, EXAMPLE), transitions([1, 2]))
    same = add(buffer, transitions([]))
    assert (int(same.size), int(same.position)) == (2, 2)


def test_sampling_is_uniform_over_the_rows_held_and_never_reads_an_unwritten_one():
    held, capacity, draws = 20, 50, 20_000
    buffer = add(replay.init(capacity, EXAMPLE), transitions(range(1, held + 1)))
    drawn = draw_one_per_key(buffer, jax.random.split(jax.random.key(1), draws))
    counts = np.bincount(row_numbers(drawn), minlength=held + 1)
    assert counts[0] == 0
    assert stats.chisquare(counts[1:]).pvalue > 0.01


def test_one_sample_is_uniform_with_replacement():
    buffer = add(replay.init(1000, jnp.int32(0)), jnp.arange(1000))
    counts = sum(
        np.bincount(sample(buffer, jax.random.key(k), 1000), minlength=1000) for k in range(20)
    )
    assert stats.chisquare(counts).pvalue > 0.01
    assert len(np.unique(sample(buffer, jax.random.key(0), 1000))) < 1000


def test_sample_is_determined_by_its_key():
    buffer = add(replay.init(8, EXAMPLE), transitions(range(8)))
    first, again, other = (row_numbers(sample(buffer, jax.random.key(k), 8)) for k in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("latest", "expected"), [(3, {8, 9, 10}), (10, None), (50, None)])
def test_of_the_latest_no_row_is_drawn_that_was_never_written(latest, expected):
    buffer = add(replay.init(100, jnp.int32(0)), jnp.arange(1, 11))
    for draw in (replay.sample, sample):
        rows = [draw(buffer, jax.random.key(k), 10, latest=latest) for k in range(10)]
        assert set(np.ravel(rows).tolist()) == (expected or set(range(1, 11)))


def test_rings_that_are_stacked_are_not_taken_for_one():
    ring = add(replay.init(8, EXAMPLE), transitions(range(8)))
    stacked = jax.tree.map(lambda x: jnp.stack([x, x]), ring)
    for use in (
        lambda: replay.sample(stacked, jax.random.key(0), 2),
        lambda: replay.add(stacked, transitions([1])),
        lambda: replay.row(stacked, jnp.asarray(0)),
    ):
        with pytest.raises(ValueError, match=r"buffer holds \(2,\) rings, stacked.*jax\.vmap"):
            use()


def test_a_ring_that_was_saved_and_loaded_goes_on():
    ring = add(replay.init(8, EXAMPLE), transitions(range(5)))
    loaded = serialization.from_bytes(ring, serialization.to_bytes(ring))
    key, more = jax.random.key(0), transitions([5])
    assert_identical(replay.sample(loaded, key, 4), replay.sample(ring, key, 4))
    assert_identical(replay.add(loaded, more), replay.add(ring, more))


def test_whole_numbers_that_the_ring_does_not_have_are_refused_where_they_are_known():
    ring = replay.init(4, {"a": np.zeros(1, np.int64)})
    assert replay.add(ring, {"a": np.array([[7]])}).rows["int32"][0] == 7
    with pytest.raises(ValueError, match="from 3000000000 to 3000000000 are not those of int32"):
        replay.add(ring, {"a": np.array([[3_000_000_000]])})


def test_add_returns_a_new_ring_and_leaves_the_old_one_alone():
    empty = replay.init(4, EXAMPLE)
    add(empty, transitions([1, 2]))
    assert int(empty.size) == 0
    assert not any(rows.any() for rows in empty.rows.values())


def compiled_insert(capacity, seeds=None):
    example = Transition(*(jnp.zeros(n) for n in (17, 6)), 0.0, 1.0, jnp.zeros(17))
    if seeds is None:
        buffer = jax.eval_shape(lambda: replay.init(capacity, example))
        batch = jax.tree.map(lambda x: jnp.zeros((1, *jnp.shape(x))), example)
        insert = replay.add
    else:
        buffer = jax.eval_shape(lambda: jax.vmap(lambda _: replay.init(capacity, example))(seeds))
        batch = jax.tree.map(lambda x: jnp.zeros((len(seeds), 1, *jnp.shape(x))), example)
        insert = jax.vmap(replay.add)
    memory = jax.jit(insert, donate_argnums=0).lower(buffer, batch).compile().memory_analysis()
    rows_bytes = sum(rows.size * rows.dtype.itemsize for rows in buffer.rows.values())
    return memory, rows_bytes


@pytest.mark.parametrize("seeds", [None, np.arange(3)], ids=["one ring", "a ring per seed"])
def test_an_insert_into_a_donated_ring_is_in_place(seeds):
    small, _ = compiled_insert(10_000, seeds)
    large, rows_bytes = compiled_insert(1_000_000, seeds)
    assert large.temp_size_in_bytes == small.temp_size_in_bytes < 10_000
    assert large.alias_size_in_bytes >= rows_bytes
    assert large.output_size_in_bytes - large.alias_size_in_bytes < 1000


def test_inserting_and_sampling_in_a_loop_on_the_device_is_in_place():
    capacity = 100_000

    def loop(buffer, key):
        def body(i, carry):
            buffer, total = carry
            buffer = replay.add(buffer, jnp.full((1, 8), i, jnp.float32))
            drawn = replay.sample(buffer, jax.random.fold_in(key, i), 16)
            return buffer, total + jnp.sum(drawn)

        return jax.lax.fori_loop(0, 50, body, (buffer, 0.0))

    buffer, key = replay.init(capacity, jnp.zeros(8)), jax.random.key(0)
    compiled = jax.jit(loop, donate_argnums=0).lower(buffer, key).compile()
    # Less than a tenth of the ring itself: no copy of it is ever made.
    assert compiled.memory_analysis().temp_size_in_bytes < capacity * 8 * 4 / 10
    buffer, _ = compiled(buffer, key)
    assert int(buffer.size) == 50
    held = replay.sample(buffer, key, 50)
    assert set(np.unique(held)) <= set(range(50))


def test_rings_with_a_leading_seed_axis_are_independent():
    buffers = jax.vmap(lambda _: replay.init(4, EXAMPLE))(jnp.arange(3))
    numbers = np.array([[1, 2], [11, 12], [21, 22]])
    batches = [transitions(row) for row in numbers]
    stacked = jax.tree.map(lambda *x: np.stack(x), *batches)
    mask = np.array([[True, True], [False, True], [False, False]])
    buffers = jax.jit(jax.vmap(replay.add))(buffers, stacked, mask)
    assert buffers.size.tolist() == [2, 1, 0]
    assert buffers.capacity == 4
    keys = jax.random.split(jax.random.key(0), 3)
    drawn = jax.jit(jax.vmap(lambda buffer, key: replay.sample(buffer, key, 4)))(buffers, keys)
    for k in range(2):
        found = set(row_numbers(jax.tree.map(lambda x, k=k: x[k], drawn)).tolist())
        assert found <= set(numbers[k][mask[k]].tolist())


@pytest.mark.parametrize("capacity", [0, -3, 1e3, "100", True])
def test_a_capacity_below_one_or_in_floats_is_refused(capacity):
    for function in (replay.init, replay.plan):
        with pytest.raises(
            ValueError, match=f"capacity must be at least 1, a whole number, got {capacity!r}"
        ):
            function(capacity, EXAMPLE)


@pytest.mark.parametrize("batch_size", [0, 3, 2.0])
def test_a_batch_size_that_replay_does_not_hold_is_refused(batch_size):
    buffer = add(replay.init(4, EXAMPLE), transitions([1, 2]))
    with pytest.raises(ValueError, match=rf"batch_size .* between 1 and the 2 .*got {batch_size}"):
        replay.sample(buffer, jax.random.key(0), batch_size)


def test_what_is_no_key_and_a_ring_of_nothing_are_refused():
    buffer = add(replay.init(4, EXAMPLE), transitions([1, 2]))
    with pytest.raises(TypeError, match="key must be one random key"):
        replay.sample(buffer, 0, 1)
    with pytest.raises(ValueError, match="no array"):
        replay.init(4, {})
    with pytest.raises(TypeError, match="got random keys"):
        replay.init(4, jax.random.key(0))


@pytest.mark.parametrize("latest", [0, 3.0, True, np.ones(2)])
def test_latest_is_one_whole_number(latest):
    buffer = add(replay.init(4, EXAMPLE), transitions([1, 2]))
    with pytest.raises(ValueError, match="latest must be a whole number from 1 on, got"):
        replay.sample(buffer, jax.random.key(0), 1, latest=latest)


def test_a_batch_size_over_the_capacity_is_refused_while_tracing():
    buffer = replay.init(4, EXAMPLE)
    with pytest.raises(ValueError, match=r"batch_size .* the 4 transitions"):
        sample(buffer, jax.random.key(0), 5)


def test_an_empty_ring_gives_no_floats_while_tracing_and_changes_nothing_beside_it():
    empty, filled = replay.init(4, EXAMPLE), add(replay.init(4, EXAMPLE), transitions([7, 8, 9]))
    key = jax.random.key(0)
    drawn = sample(empty, key, 3)
    for leaf in (drawn.reward, drawn.action, drawn.observation["vector"]):
        assert np.isnan(leaf).all()
    assert (drawn.discount == np.iinfo(np.int32).min).all()
    assert (drawn.observation["image"] == 255).all()
    both = jax.tree.map(lambda *x: jnp.stack(x), empty, filled)
    together = jax.jit(jax.vmap(lambda buffer: replay.sample(buffer, key, 3)))(both)
    assert np.isnan(together.reward[0]).all()
    alone = row_numbers(sample(filled, key, 3))
    np.testing.assert_array_equal(row_numbers(jax.tree.map(lambda x: x[1], together)), alone)


def test_a_batch_from_an_empty_ring_is_refused_by_update_and_counted():
    state = jaxsac.init(
        jax.random.key(0), jnp.zeros(3), jnp.zeros(2), jaxsac.Config(hidden_sizes=(4,))
    )
    example = Transition(jnp.zeros(3), jnp.zeros(2), jnp.zeros(()), jnp.zeros(()), jnp.zeros(3))
    buffer = replay.init(4, example)

    @jax.jit
    def step(state, buffer, key):
        return jaxsac.update(state, replay.sample(buffer, key, 2), key)

    after, metrics = step(state, buffer, jax.random.key(1))
    assert int(after.skipped) == int(metrics.skipped) == 1
    for old, new in zip(
        jax.tree.leaves(state), jax.tree.leaves(after.replace(skipped=state.skipped)), strict=True
    ):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda t: t._replace(reward=t.reward.astype(np.float16)),
            r"transitions\.reward has dtype",
        ),
        (lambda t: t._replace(action=t.action[:, :1]), r"transitions\.action has shape \(2, 1\)"),
        (lambda t: t._replace(reward=t.reward[:, None]), "leading axes disagree"),
        (lambda t: t._replace(observation=t.reward), "transitions has the tree structure"),
        (lambda t: jax.tree.map(lambda x: x[0], t), r"exactly one leading axis, got \(\)"),
        (lambda t: jax.tree.map(lambda x: x[None], t), r"exactly one leading axis, got \(1, 2\)"),
    ],
    ids=["dtype", "shape", "reward column", "structure", "unbatched", "two axes"],
)
def test_malformed_transitions_are_refused(spoil, message):
    with pytest.raises(ValueError, match=message):
        replay.add(replay.init(4, EXAMPLE), spoil(transitions([1, 2])))


@pytest.mark.parametrize(
    "mask",
    [np.ones((2, 1), bool), np.ones(1, bool), np.ones(2, int)],
    ids=["column", "short", "int"],
)
def test_a_mask_that_is_not_one_bool_for_each_transition_is_refused(mask):
    with pytest.raises(AssertionError, match="Chex"):
        replay.add(replay.init(4, EXAMPLE), transitions([1, 2]), mask)


def test_planned_bytes_are_the_allocated_bytes():
    plan = replay.plan(1000, EXAMPLE)
    buffer = replay.init(1000, EXAMPLE)
    assert plan.capacity == buffer.capacity == 1000
    assert plan.total_bytes == sum(rows.nbytes for rows in buffer.rows.values())
    assert plan.bytes_per_transition == sum(np.asarray(x).nbytes for x in jax.tree.leaves(EXAMPLE))


def test_a_ring_may_be_planned_and_made_from_shapes_alone():
    structs = jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), x.dtype), EXAMPLE)
    assert replay.plan(10, structs) == replay.plan(10, EXAMPLE)
    buffer = add(replay.init(10, structs), transitions([1]))
    assert row_numbers(sample(buffer, jax.random.key(0), 1)).tolist() == [1]


def test_leaves_of_one_dtype_share_one_array():
    buffer = replay.init(10, EXAMPLE)
    assert {name: rows.shape for name, rows in buffer.rows.items()} == {
        "uint8": (10, 8), "float32": (10, 9), "int32": (10, 1)
    }  # fmt: skip


# Rows that are there already.


def steps(count):
    """Transitions as a process has them: the third terminates, the fourth meets a time limit."""
    made = transitions(range(count))
    discount = (np.arange(count) != 2).astype(np.float32)
    return made._replace(action=made.action / 20, discount=discount)


@pytest.mark.parametrize(("count", "capacity"), [(7, None), (7, 10), (7, 7), (7, 3), (12, 5)])
def test_a_ring_from_arrays_is_the_one_that_they_are_added_to_one_by_one(count, capacity):
    rows = steps(count)
    expected = replay.init(capacity or count, jax.tree.map(lambda x: x[0], rows))
    for number in range(count):
        expected = add(expected, jax.tree.map(lambda x, n=number: x[n : n + 1], rows))
    assert_identical(replay.from_arrays(rows, capacity), expected)
    assert replay.from_arrays(rows, capacity).spec == expected.spec


def test_a_ring_from_arrays_goes_on_as_any_other():
    rows = steps(12)
    first, rest = (jax.tree.map(lambda x, cut=cut: x[cut], rows) for cut in (np.s_[:8], np.s_[8:]))
    after = add(replay.from_arrays(first, 5), rest)
    assert_identical(after, replay.from_arrays(rows, 5))


def test_a_ring_from_arrays_takes_any_pytree_and_doubles_as_floats():
    buffer = replay.from_arrays({"a": np.arange(3.0), "b": np.ones((3, 2), np.int64)}, 4)
    assert buffer.spec.tree["a"].dtype == np.float32
    assert buffer.spec.tree["b"].dtype == np.int32
    assert (int(buffer.size), int(buffer.position), buffer.capacity) == (3, 3, 4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reward": np.zeros((7, 1))}, r"reward is float64\[7, 1\], expected floats \(N,\)"),
        ({"reward": np.zeros(6)}, r"leading axes disagree .*transitions.reward: \(6,\)"),
        ({"discount": np.ones(7, bool)}, r"discount is bool.*1 - terminated"),
        ({"discount": np.full(7, -1.0)}, r"discount has values from -1.0 to -1.0, expected"),
        ({"action": np.zeros((7, 2), np.int32)}, r"action is int32\[7, 2\]"),
        ({"action": np.full((7, 2), 3.0)}, r"action is outside \[-1, 1\] in 7 of 7 rows: map"),
        ({"reward": np.full(7, np.nan)}, "reward is not finite in 7 rows"),
        ({"reward": np.full(7, 1e300)}, "reward is not finite in 7 rows, as float32"),
        (
            {name: np.full((7, 3), 2**40) for name in ("observation", "next_observation")},
            "whole numbers from 1099511627776 to 1099511627776 are not those of int32",
        ),
        ({"next_observation": np.zeros((7, 3))}, "next_observation has shapes and dtypes"),
    ],
)
def test_arrays_that_are_no_transitions_are_refused(change, said):
    with pytest.raises(ValueError, match=said):
        replay.from_arrays(steps(7)._replace(**change))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([1, 2], r"transitions\[0\] is a int, expected an array of numbers"),
        ({"a": np.array(["x", "y"])}, r"transitions\['a'\] is of <U1, expected"),
        ({"a": np.array([None, 1])}, "is of object, expected"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(rows, said):
    with pytest.raises(ValueError, match=said):
        replay.from_arrays(rows)


def test_a_ring_from_arrays_takes_what_numpy_makes_arrays_of():
    class Foreign:
        def __array__(self, dtype=None, copy=None):
            return np.arange(3.0)

    assert replay.from_arrays({"a": Foreign()}).rows["float32"].ravel().tolist() == [0, 1, 2]


def test_a_ring_from_arrays_needs_a_row_and_room():
    with pytest.raises(ValueError, match="hold no row"):
        replay.from_arrays(steps(0))
    with pytest.raises(ValueError, match="capacity must be at least 1"):
        replay.from_arrays(steps(3), 0)
