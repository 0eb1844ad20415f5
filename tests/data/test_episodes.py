"""Episodes found in the rows of replay, by where they begin and end."""

import itertools

import numpy as np

from jaxsac import Transition
from jaxsac.data import episodes


def rows_of(lengths, num_envs, terminates):
    """Episodes of the environments in turn, whose states are numbers that occur once."""
    paths, state = [], 0
    for number, length in enumerate(lengths):
        path = [
            (state + k, state + k + 1, not (terminates(number) and k == length - 1), number)
            for k in range(length)
        ]
        paths.append(path)
        state += length + 1
    queues = [[*itertools.chain(*paths[env::num_envs])] for env in range(num_envs)]
    count = min(map(len, queues))
    rows = [queue[at] for at in range(count) for queue in queues]
    before, after, discount, episode = (np.array(x, np.float32) for x in zip(*rows, strict=True))
    zeros = np.zeros(len(before), np.float32)
    steps = Transition(before[:, None], zeros[:, None], zeros, discount, after[:, None])
    return steps, episode


def found_in(steps, num_envs):
    return [rows.tolist() for rows in episodes.follow(steps, num_envs)]


def test_episodes_of_environments_side_by_side_are_found():
    for num_envs in (1, 2, 3):
        steps, episode = rows_of([4, 2, 5, 1, 3, 6], num_envs, lambda number: number % 2)
        expected = [np.flatnonzero(episode == e).tolist() for e in dict.fromkeys(episode.tolist())]
        assert found_in(steps, num_envs) == expected
        assert sorted(itertools.chain(*found_in(steps, num_envs))) == list(range(len(episode)))


def test_nothing_goes_on_after_a_termination():
    states = np.array([[0.0], [1.0], [1.0]], np.float32)
    zeros = np.zeros(2, np.float32)
    steps = Transition(states[:2], zeros[:, None], zeros, np.ones(2, np.float32), states[1:])
    assert found_in(steps, 1) == [[0, 1]]
    assert found_in(steps._replace(discount=np.array([0, 1], np.float32)), 1) == [[0], [1]]


def test_an_episode_does_not_go_on_where_other_rows_lie_between():
    # A row was discarded after the first, so what begins later where that ended is another one.
    before, after = np.array([0.0, 7.0, 1.0])[:, None], np.array([1.0, 8.0, 2.0])[:, None]
    ones = np.ones(3)
    steps = Transition(before, ones[:, None], ones, ones, after)
    assert found_in(steps, 1) == [[0], [1], [2]]
    assert found_in(steps, 2) == [[0, 2], [1]]


def test_where_there_are_no_rows_there_are_no_episodes():
    nothing = np.zeros((0, 1), np.float32)
    assert (
        episodes.follow(Transition(nothing, nothing, nothing[:, 0], nothing[:, 0], nothing), 1)
        == []
    )
