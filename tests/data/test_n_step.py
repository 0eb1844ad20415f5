"""n-step returns against a loop over episodes in double precision."""

import jax
import numpy as np
import pytest

from jaxsac import Transition, replay
from jaxsac.data import n_step, packing

pytestmark = pytest.mark.usefixtures("x64")

GAMMA, STEPS, ENVS = 0.9, 120, 3


class Stream:
    """Episodes of any length, some of a step, that end by termination, time limit or a NaN."""

    def __init__(self):
        rng = np.random.default_rng(0)
        lead = (STEPS, ENVS)
        end = rng.choice(["", "terminated", "cut", "invalid"], lead, p=[0.7, 0.1, 0.1, 0.1])
        self.valid, self.over = end != "invalid", end != ""
        observation, next_observation, action = rng.normal(size=(3, *lead, 2))
        reward = np.where(self.valid, rng.normal(size=lead), np.nan)
        discount = np.where(end == "terminated", 0.0, 1.0)
        self.steps = Transition(observation, action, reward, discount, next_observation)

    def expected(self, n):
        """The returns that each step completes, in order."""
        found = [[] for _ in range(STEPS)]
        for env in range(ENVS):
            for start in range(STEPS):
                if self.valid[start, env]:
                    self._follow(found, n, env, start)
        return [[row for _, _, row in sorted(rows, key=lambda row: row[:2])] for rows in found]

    def _follow(self, found, n, env, start):
        observation, action, reward, discount, next_observation = (
            leaf[:, env] for leaf in self.steps
        )
        total, row = 0.0, None
        for k, now in enumerate(range(start, STEPS)):
            if not self.valid[now, env]:
                found[now].append((env, start, row))
                return
            total += GAMMA**k * reward[now]
            row = Transition(
                observation[start], action[start], total, GAMMA**k * discount[now],
                next_observation[now],
            )  # fmt: skip
            if k == n - 1 or self.over[now, env]:
                found[now].append((env, start, row))
                return


@pytest.fixture
def stream():
    return Stream()


def push_all(stream, n, buffer):
    """The window and the ring after the stream, and what each step completed."""
    example = jax.tree.map(lambda leaf: leaf[0, 0], stream.steps)

    def push(carry, now):
        window, buffer = carry
        window, rows, complete = n_step.push(window, *now, GAMMA)
        return (window, replay.add(buffer, rows, complete)), (rows, complete)

    start = (n_step.init(n, ENVS, example), buffer)
    return jax.jit(lambda carry, xs: jax.lax.scan(push, carry, xs))(
        start, (stream.steps, stream.valid, stream.over)
    )


def assert_rows(actual, expected):
    for leaf, wanted in zip(jax.tree.leaves(actual), zip(*expected, strict=True), strict=True):
        np.testing.assert_allclose(leaf, np.stack(wanted), rtol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_they_are_those_of_a_loop_over_episodes(stream, n):
    capacity = 50
    ring = replay.init(capacity, jax.tree.map(lambda leaf: leaf[0, 0], stream.steps))
    (window, ring), (rows, complete) = push_all(stream, n, ring)
    expected = stream.expected(n)
    for step, wanted in enumerate(expected):
        assert complete[step].sum() == len(wanted)
        if wanted:
            assert_rows(jax.tree.map(lambda leaf, s=step: leaf[s][complete[s]], rows), wanted)
    waiting = int(window.held.sum()) if n > 1 else 0
    assert sum(map(len, expected)) == stream.valid.sum() - waiting, "no step is lost"
    # What lies in a ring that has gone round more than once are the last of them.
    last = [row for wanted in expected for row in wanted][-capacity:]
    in_order = jax.tree.map(lambda leaf: np.roll(leaf, -int(ring.position), axis=0), ring.rows)
    assert_rows(packing.unpack(ring.spec, in_order), last)


def test_what_waits_is_given_out_when_its_episode_is_given_up(stream):
    stream.valid[-2:], stream.over[-2:], stream.steps.reward[-2:] = True, False, 1.0
    ring = replay.init(50, jax.tree.map(lambda leaf: leaf[0, 0], stream.steps))
    (before, _), _ = push_all(stream, 4, ring)
    window, rows, complete = n_step.cut(before, np.array([False, True, False]))
    # As by a step that is no transition, in the second environment alone.
    invalid = jax.tree.map(lambda leaf: np.full_like(leaf[0], np.nan), stream.steps)
    never, always = np.zeros(ENVS, bool), np.ones(ENVS, bool)
    _, expected, mask = n_step.push(before, invalid, never, always, GAMMA)
    mine = mask.reshape(ENVS, 4)[1]
    assert complete.sum() == mine.sum() >= 2
    assert complete.reshape(ENVS, 3)[1].sum() == mine.sum()
    for leaf, other in zip(*map(jax.tree.leaves, (rows, expected)), strict=True):
        wanted = other.reshape(ENVS, 4, *other.shape[1:])[1][mine]
        np.testing.assert_array_equal(leaf[complete], wanted)
    assert not window.held[1].any()
    np.testing.assert_array_equal(window.held[::2], before.held[::2])


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_returns_of_episodes_that_are_there_already_are_those_that_are_collected(stream, n):
    for env in range(ENVS):
        steps = jax.tree.map(lambda x, e=env: x[stream.valid[:, e], e], stream.steps)
        over = _over(stream, env)
        found = n_step.of_episodes(n, steps, over, GAMMA)
        rows = {
            float(row.observation[0]): row for completed in stream.expected(n) for row in completed
        }
        complete = 0
        for number in range(len(over)):
            row = jax.tree.map(lambda x, i=number: x[i], found)
            expected = rows.get(float(row.observation[0]))
            if expected is not None:  # the last ones still wait for their steps
                complete += 1
                jax.tree.map(
                    lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-12), row, expected
                )
        assert complete > len(over) - n


def _over(stream, env):
    """Where the next valid step of an environment is of another episode."""
    ends, valid = stream.over[:, env], np.flatnonzero(stream.valid[:, env])
    return np.array(
        [ends[now:after].any() for now, after in zip(valid, [*valid[1:], STEPS], strict=True)]
    )
