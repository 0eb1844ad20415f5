import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import ClipAction

import probe_environments
from assertions import assert_identical
from jaxsac.envs import host
from jaxsac.envs.checked import CheckedEnv
from jaxsac.types import Transition


def copies_of(make, num_seeds, num_envs=1):
    return host.HostEnvs([make() for _ in range(num_seeds * num_envs)], num_seeds)


def unit_actions(envs, steps, seed=0):
    """(steps, S, E, A)."""
    shape = (steps, envs.num_seeds, envs.num_envs, envs.action_map.size)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def roll_out_alone(make, seed, actions):
    """Transitions and episodes of one environment that is reset by hand."""
    env, transitions, episodes = make(), [], []
    high = env.action_space.high
    observation, _ = env.reset(seed=seed)
    rewards = []
    for action in actions:
        arrived, reward, terminated, truncated, _ = env.step(action * high)
        transitions.append(
            Transition(observation, action, np.float32(reward), 1.0 - terminated, arrived)
        )
        rewards.append(reward)
        observation = arrived
        if terminated or truncated:
            episodes.append((sum(rewards), len(rewards)))
            observation, _ = env.reset()
            rewards = []
    return transitions, episodes


def assert_same_transitions(actual, expected):
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected, strict=True):
        jax.tree.map(lambda x, y: np.testing.assert_array_equal(x, np.asarray(y, x.dtype)), a, b)


def pendulum():
    return gymnasium.make("Pendulum-v1", max_episode_steps=30)


def hopper():
    return gymnasium.make("Hopper-v4")


def scripted():
    return gymnasium.make("probe_environments:Scripted-v0")


@pytest.mark.parametrize("make", [pendulum, hopper, scripted])
@pytest.mark.filterwarnings("ignore:.*out of date")
def test_transitions_are_those_of_environments_stepped_alone(make):
    seeds = [11, 7, 5, 3]
    envs = copies_of(make, 2, 2)
    actions = unit_actions(envs, 130)
    stored = {index: [] for index in np.ndindex(2, 2)}
    ended = {index: [] for index in np.ndindex(2, 2)}
    observation = envs.reset(seeds)
    for action in actions:
        result, end = envs.step(action)
        assert result.valid.all()
        np.testing.assert_array_equal(result.over, end.mask)
        rows = Transition(
            observation, action, result.reward, result.discount, result.next_observation
        )
        for index in np.ndindex(2, 2):
            stored[index].append(jax.tree.map(lambda x, i=index: x[i], rows))
            if end.mask[index]:
                ended[index].append((end.episode_return[index], end.episode_length[index]))
        observation = result.observation
    assert sum(map(len, ended.values())) > 8
    for index, seed in zip(np.ndindex(2, 2), seeds, strict=True):
        expected, episodes = roll_out_alone(make, seed, actions[:, *index])
        assert_same_transitions(stored[index], expected)
        assert [length for _, length in ended[index]] == [length for _, length in episodes]
        np.testing.assert_allclose(
            [value for value, _ in ended[index]], [value for value, _ in episodes], rtol=1e-5
        )
    envs.close()


def test_a_time_limit_keeps_discount_1_and_a_termination_gives_0():
    for name, discount in (("TwoStateLimit", 1), ("TwoStateEnd", 0)):
        envs = copies_of(lambda n=name: gymnasium.make(f"probe_environments:{n}-v0"), 1)
        envs.reset([0])
        *_, (result, end) = [envs.step(np.zeros((1, 1, 1), np.float32)) for _ in range(5)]
        assert [x.tolist() for x in end] == [[[True]], [[4.0]], [[5]]]
        assert result.discount == discount
        # The state in which the episode ended, not the start of the next.
        np.testing.assert_array_equal(result.next_observation[0, 0], [0, 1])
        np.testing.assert_array_equal(result.observation[0, 0], [1, 0])


@pytest.mark.parametrize("num_seeds", [0, 2, 4])
def test_seeds_that_do_not_divide_the_environments_are_refused(num_seeds):
    with pytest.raises(ValueError, match=f"3 environments do not divide over {num_seeds} seeds"):
        host.HostEnvs([pendulum() for _ in range(3)], num_seeds)


class Observing(gymnasium.Env):
    """Observes what it is given, time after time."""

    action_space = spaces.Box(-1, 1, (1,))
    reward = 0.0

    def __init__(self, space, *observations):
        self.observation_space, self.left = space, iter(observations)

    def reset(self, *, seed=None, options=None):
        return next(self.left), {}

    def step(self, action):
        return next(self.left), self.reward, False, False, {}


def test_copies_with_other_spaces_are_refused():
    wide, narrow = spaces.Box(-2, 2, (1,)), spaces.Box(-1, 1, (1,))
    with pytest.raises(ValueError, match="copies must be alike"):
        host.HostEnvs([Observing(wide), Observing(narrow)], 1)


def test_bounds_that_clip_action_hides_are_asked_for_but_where_others_are_given():
    env = ClipAction(Observing(spaces.Box(-2, 2, (1,))))
    with pytest.raises(ValueError, match="leave it out, as actions are kept within the bounds of"):
        host.HostEnvs([gymnasium.wrappers.TimeLimit(env, 9)], 1)
    given = gymnasium.wrappers.TransformAction(env, lambda action: action, spaces.Box(-1, 1, (1,)))
    assert host.HostEnvs([given], 1).action_map.size == 1
    env.env.action_space = env.action_space
    with pytest.raises(ValueError, match=r"so give finite bounds, in a --wrapper"):
        host.HostEnvs([env], 1)


@pytest.mark.parametrize(
    ("space", "observation", "expected"),
    [
        (spaces.Box(-9, 9, (2,), np.float64), [1 / 3, 1e-50], np.float32([1 / 3, 1e-50])),
        (spaces.Box(-9, 9, (2,), np.float32), np.array([1 / 3, 2]), np.float32([1 / 3, 2])),
        (spaces.Box(-9, 9, (2,), np.float16), np.float16([1 / 3, 2]), np.float16([1 / 3, 2])),
        (spaces.Box(-9, 9, (), np.float64), 0.1, np.float32(0.1)),
        (spaces.Box(0, 255, (1, 2), np.uint8), np.uint8([[3, 255]]), np.uint8([[3, 255]])),
        (spaces.Box(-9, 9, (2,), np.int64), np.array([-3, 7]), np.int32([-3, 7])),
        (spaces.MultiBinary(2), np.array([1, 0]), np.int8([1, 0])),
        (
            spaces.Dict({"b": spaces.Tuple([spaces.MultiBinary(1)]), "a": spaces.Box(-1, 1, (1,))}),
            {"a": np.array([0.1]), "b": (np.array([True]),)},
            {"a": np.float32([0.1]), "b": (np.int8([1]),)},
        ),
    ],
)
def test_observations_have_the_dtypes_of_the_example(space, observation, expected):
    envs = host.HostEnvs([Observing(space, *[observation] * 2)] * 1, 1)
    first = envs.reset([0])
    result, _ = envs.step(np.zeros((1, 1, 1), np.float32))
    for actual in (first, result.next_observation, result.observation):
        assert_identical(actual, jax.tree.map(lambda x: x[None, None], expected))
        for x, struct in zip(
            *map(jax.tree.leaves, (actual, envs.observation_example)), strict=True
        ):
            assert x.dtype == struct.dtype


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("errors", ["warn", "raise"])
@pytest.mark.parametrize("number", [1e-50, 1e39])
def test_numbers_that_float32_lacks_are_errors_neither_of_numpy_nor_of_a_simulator(number, errors):
    class Far(Observing):
        action_space = spaces.Box(-1e-4, 1e-4, (1,), np.float16)
        reward = number

    def pair():
        space = spaces.Box(-np.inf, np.inf, (1,), np.float64)
        return host.HostEnvs([Far(space, *[np.array([number])] * 4) for _ in range(2)], 2)

    with np.errstate(all=errors):  # as a simulator may set it
        envs, others = pair(), pair()
        envs.reset([0, 1])
        result, _ = envs.step(np.full((2, 1, 1), 1e-5, np.float32))
        assert result.valid.all() == (number < 1)
        assert others.restore(envs.snapshot(), result.observation)[1] == []


class Reusing(probe_environments.Faulty):
    """Writes all its observations into one array, and then over it."""

    def __init__(self):
        super().__init__("nowhere")
        self.array = np.zeros(2, np.float32)

    def _observation(self):
        self.array[:] = super()._observation()
        return self.array


def test_an_environment_may_write_every_observation_into_one_array():
    env = Reusing()
    envs = host.HostEnvs([env], 1)
    seen = [envs.reset([0])]
    for _ in range(8):
        result, _ = envs.step(np.ones((1, 1, 1), np.float32))
        seen += [result.next_observation, result.observation]
        env.array[:] = 99
    steps = [(0, 0), *[(0, n) for n in range(1, 7) for _ in range(2)], *[(1, 1)] * 2, *[(1, 2)] * 2]
    steps[12] = (1, 0)  # after the reset
    assert [tuple(x.ravel().tolist()) for x in seen] == steps


def test_infos_may_be_of_any_length():
    envs, plain = copies_of(probe_environments.Touching, 1, 2), faulty_envs("nowhere", seeds=1)
    assert_identical(envs.reset([0, 1]), plain.reset([0, 1]))
    for action in unit_actions(envs, 15):
        assert_identical(envs.step(action), plain.step(action))


def test_environment_seeds_depend_on_member_and_stream_alone():
    assert host.environment_seeds(3, (0,), 4)[:2] == host.environment_seeds(3, (0,), 2)
    streams = [(3, (0,)), (4, (0,)), (3, (1, 0)), (3, (1, 5)), (0, (3,))]
    assert len({tuple(host.environment_seeds(s, stream, 2)) for s, stream in streams}) == 5
    assert all(type(seed) is int for seed in host.environment_seeds(3, (0,), 4))


# What is not finite.


def faulty_envs(where, count=2, seeds=None, **arguments):
    # The first environment is faulty, the others are not.
    envs = [probe_environments.Faulty(where, **arguments)]
    envs += [probe_environments.Faulty("nowhere") for _ in range(count - 1)]
    return host.HostEnvs(envs, seeds or count)


def run(envs, steps, faulty_action_at=None):
    """(episode, step) at the start of each valid transition, episodes, discarded: by seed."""
    observation = envs.reset(range(envs.num_seeds))
    kept, ended = [[[] for _ in range(envs.num_seeds)] for _ in range(2)]
    discarded = np.zeros(envs.num_seeds, int)
    for i in range(steps):
        action = np.zeros((envs.num_seeds, 1, 1), np.float32)
        if i == faulty_action_at:
            action[0] = np.nan
        result, end = envs.step(action)
        rows = (observation, result.reward, result.discount, result.next_observation)
        for row in rows:
            assert np.isfinite(row[result.valid]).all()
        discarded += ~result.valid[:, 0]
        np.testing.assert_array_equal(result.over, end.mask | ~result.valid)
        for seed, _ in np.argwhere(result.valid):
            kept[seed].append(tuple(observation[seed, 0].astype(int).tolist()))
        for seed, _ in np.argwhere(end.mask):
            ended[seed].append((end.episode_return[seed, 0], end.episode_length[seed, 0]))
        observation = result.observation
    return kept, ended, discarded.tolist()


def steps_of(episode, first=0, last=5):
    return [(episode, step) for step in range(first, last + 1)]


@pytest.mark.parametrize("where", ["reward", "observation"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_episode_is_cut_at_what_is_not_finite(where, value):
    kept, ended, discarded = run(faulty_envs(where, value=value), 24)
    # Episode 1 breaks in its third step: what comes before it stays.
    assert kept[0][:14] == steps_of(0) + steps_of(1, last=1) + steps_of(2)
    assert kept[1][:18] == steps_of(0) + steps_of(1) + steps_of(2)
    assert discarded == [1, 0]
    # Its return has no value and is not reported: 0 and 2 and 3, of 21 each.
    assert ended == [[(21.0, 6)] * 3, [(21.0, 6)] * 4]


def test_an_action_that_is_not_finite_never_reaches_the_environment():
    kept, ended, discarded = run(faulty_envs("nowhere"), 12, faulty_action_at=2)
    assert kept[0] == steps_of(0, last=1) + steps_of(1) + steps_of(2, last=2)
    assert discarded == [1, 0]
    assert ended[0] == [(21.0, 6)]


def test_an_episode_that_starts_with_a_nan_is_left_out():
    kept, ended, discarded = run(faulty_envs("observation", step=0), 18)
    assert kept[0][:11] == steps_of(0) + steps_of(2, last=4)
    assert kept[1] == steps_of(0) + steps_of(1) + steps_of(2)
    assert discarded == [1, 0]
    assert len(ended[0]) == 2


def test_the_very_first_observation_can_be_a_nan():
    kept, _, discarded = run(faulty_envs("observation", episode=0, step=0), 13)
    assert kept[0][:6] == steps_of(1)
    assert discarded[0] == 1


def test_faults_are_told_of_all_the_environments_of_a_seed():
    places = [("reward", 1), ("nowhere", 1), ("observation", 2), ("reward", 1)]
    envs = [probe_environments.Faulty(where, episode=None, step=step) for where, step in places]
    envs, discarded = host.HostEnvs(envs, 2), np.zeros((2, 2), int)
    envs.reset(range(4))
    for _ in range(6):
        result, _ = envs.step(np.zeros((2, 2, 1), np.float32))
        discarded += ~result.valid
    assert discarded.tolist() == [[6, 0], [3, 6]]


def test_copies_that_differ_are_closed():
    closed = []

    class Closing(probe_environments.Faulty):
        def __init__(self, number):
            super().__init__("nowhere")
            self.number, self.action_space = number, gymnasium.spaces.Box(-1 - number, 1, (1,))

        def close(self):
            closed.append(self.number)

    with pytest.raises(ValueError, match="copies must be alike"):
        host.HostEnvs([Closing(n) for n in range(2)], 1)
    assert closed == [0, 1]


def test_closing_closes_every_copy_once_also_after_one_that_raises():
    closed = []

    class Closing(probe_environments.Faulty):
        def __init__(self, number):
            super().__init__("nowhere")
            self.number = number

        def close(self):
            closed.append(self.number)
            if self.number == 0:
                raise OSError("the simulator is gone")

    envs = host.HostEnvs([CheckedEnv(Closing(n), "C") for n in range(3)], 1)
    with pytest.raises(OSError, match="the simulator is gone"):
        envs.close()
    envs.close()
    assert closed == [0, 1, 2]
