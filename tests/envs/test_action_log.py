import random
from typing import Any

import gymnasium
import numpy as np
import pytest

import probe_environments  # noqa: F401  (registers)
from assertions import assert_identical
from jaxsac.envs import host
from jaxsac.envs.registry import make

MUJOCO = [
    "Ant", "HalfCheetah", "Hopper", "Humanoid", "HumanoidStandup", "InvertedDoublePendulum",
    "InvertedPendulum", "Pusher", "Reacher", "Swimmer", "Walker2d",
]  # fmt: skip
IDS = [*(f"{name}-v5" for name in MUJOCO), "Ant-v4", "Pendulum-v1", "MountainCarContinuous-v0"]


def actions_of(envs, count, key=0):
    shape = (count, envs.num_seeds, envs.num_envs, envs.action_map.size)
    return np.random.default_rng(key).uniform(-1, 1, shape).astype(np.float32)


def pair(env_id):
    return host.HostEnvs(make(env_id, 2), 1)


def roll_out(envs, actions, observation):
    """What all steps returned, and the observation after them."""
    results = []
    for action in actions:
        results.append(envs.step(action))
        observation = results[-1][0].observation
    return results, observation


@pytest.mark.parametrize("env_id", IDS)
def test_fresh_copies_go_on_where_others_stopped_bit_for_bit(env_id):
    envs, others = pair(env_id), pair(env_id)
    actions = actions_of(envs, 160)
    _, observation = roll_out(envs, actions[:90], envs.reset([5, 6]))
    found, restarted = others.restore(envs.snapshot(), observation)
    assert restarted == []
    assert_identical(found, observation)
    for action in actions[90:]:
        assert_identical(others.step(action), envs.step(action))


@pytest.mark.parametrize("steps", [0, 1, 12])
def test_the_first_episode_and_its_start_can_be_gone_to(steps):
    envs, others = pair("Pendulum-v1"), pair("Pendulum-v1")
    actions = actions_of(envs, steps + 3)
    _, observation = roll_out(envs, actions[:steps], envs.reset([1, 2]))
    assert others.restore(envs.snapshot(), observation)[1] == []
    for action in actions[steps:]:
        assert_identical(others.step(action), envs.step(action))


def test_a_snapshot_stays_as_it_is_while_its_environments_go_on_to_the_next_episode():
    envs, others = pair("Hopper-v5"), pair("Hopper-v5")
    actions = actions_of(envs, 200)
    _, observation = roll_out(envs, actions[:30], envs.reset([1, 2]))
    snapshot = envs.snapshot()
    expected = [envs.step(action) for action in actions[30:]]
    assert sum(end.mask.sum() for _, end in expected) > 2
    assert others.restore(snapshot, observation)[1] == []
    for action, step in zip(actions[30:], expected, strict=True):
        assert_identical(others.step(action), step)


@pytest.mark.parametrize("what", ["observation", "returns", "lengths"])
def test_copies_that_arrive_elsewhere_by_a_bit_start_anew(what):
    envs, others = pair("Pendulum-v1"), pair("Pendulum-v1")
    _, observation = roll_out(envs, actions_of(envs, 12), envs.reset([1, 2]))
    snapshot = envs.snapshot()
    if what == "observation":
        observation[0, 1, 0] = np.nextafter(observation[0, 1, 0], np.float32(9))
    elif what == "returns":
        snapshot.returns[1] = np.nextafter(snapshot.returns[1], 9)
    else:
        snapshot.lengths[1] += 1
    found, restarted = others.restore(snapshot, observation)
    assert restarted == [1]
    assert_identical(found[0, 0], observation[0, 0])
    assert (found[0, 1] != observation[0, 1]).any()
    assert (others.snapshot().lengths.tolist(), others.snapshot().returns[1]) == ([12, 0], 0)


class Unseeded(gymnasium.Env):
    """Starts somewhere that no seed decides."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    resets = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        Unseeded.resets += 1
        self.position = float(Unseeded.resets)
        return np.array([self.position, 0.0]), {}

    def step(self, action) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.position += float(action[0])
        return np.array([self.position, 0.0]), 1.0, False, False, {}


def test_an_environment_that_its_seed_does_not_decide_starts_anew_and_is_reported():
    gymnasium.register("test_action_log/Unseeded-v0", Unseeded, disable_env_checker=True)
    envs, others = pair("test_action_log/Unseeded-v0"), pair("test_action_log/Unseeded-v0")
    actions = actions_of(envs, 5)
    _, observation = roll_out(envs, actions, envs.reset([1, 2]))
    found, restarted = others.restore(envs.snapshot(), observation)
    assert restarted == [0, 1]
    first = found[0, :, 0]
    assert first.tolist() == [Unseeded.resets - 1, Unseeded.resets]
    result, _ = others.step(actions[0])
    np.testing.assert_allclose(result.observation[0, :, 0], first + actions[0, 0, :, 0], rtol=1e-6)


class OfAnyLength(Unseeded):
    """Its episodes end after a number of steps that no seed decides, and then refuse any more."""

    lengths = iter((9, 3))

    def reset(self, *, seed=None, options=None):
        self.left = next(self.lengths)
        return super().reset(seed=seed, options=options)

    def step(self, action):
        if not self.left:
            raise RuntimeError("a step past the end")
        self.left -= 1
        observation, reward, _, truncated, info = super().step(action)
        return observation, reward, not self.left, truncated, info


def test_an_episode_that_turns_out_shorter_is_not_stepped_past_its_end():
    OfAnyLength.lengths = iter((9, 3, 9))
    envs, others = (host.HostEnvs([OfAnyLength()], 1) for _ in range(2))
    _, observation = roll_out(envs, actions_of(envs, 6), envs.reset([0]))
    assert others.restore(envs.snapshot(), observation)[1] == [0]


class OtherGenerator(Unseeded):
    """Draws its starts from a generator that is none of NumPy's."""

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            self.np_random = random.Random(seed)  # pyright: ignore[reportAttributeAccessIssue]
        self.position = float(self.np_random.uniform(-1, 1))
        return np.array([self.position, 0.0]), {}


def test_a_generator_that_cannot_be_saved_costs_an_episode_on_the_way_back_and_nothing_else():
    gymnasium.register("test_action_log/Other-v0", OtherGenerator, max_episode_steps=4)
    envs, others = pair("test_action_log/Other-v0"), pair("test_action_log/Other-v0")
    _, observation = roll_out(envs, actions_of(envs, 6), envs.reset([1, 2]))
    assert others.restore(envs.snapshot(), observation)[1] == [0, 1]


def test_an_environment_that_raises_leaves_the_driver_as_it_was():
    envs, others = pair("Pendulum-v1"), pair("Pendulum-v1")
    actions = actions_of(envs, 20)
    _, observation = roll_out(envs, actions[:10], envs.reset([1, 2]))
    before = envs.snapshot()

    def broken(action):
        raise RuntimeError("broken")

    group: Any = envs._group
    group.envs[1].unwrapped.step = broken
    with pytest.raises(RuntimeError, match="broken"):
        envs.step(actions[10])
    after = envs.snapshot()
    assert_identical(after[1:], before[1:])
    assert [len(log.actions) for log in after.logs] == [10, 10]
    assert others.restore(after, observation)[1] == []


class OlderGenerator(gymnasium.Env):
    """Draws from NumPy's `RandomState`, as environments of dm_control do."""

    def __init__(self):
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
        self.action_space = gymnasium.spaces.Box(-1, 1, (1,))
        self.generator = np.random.RandomState(0)

    @property
    def np_random(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.generator

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            self.generator = np.random.RandomState(seed)
        self.length = 0
        return self.generator.normal(size=1).astype(np.float32), {}

    def step(self, action):
        self.length += 1
        return self.generator.normal(size=1).astype(np.float32), 0.0, False, self.length == 5, {}


@pytest.mark.parametrize("steps", [3, 12])
def test_the_older_generators_of_numpy_are_brought_back_too(steps):
    envs, others = (host.HostEnvs([OlderGenerator(), OlderGenerator()], 1) for _ in range(2))
    actions = actions_of(envs, steps + 8)
    _, observation = roll_out(envs, actions[:steps], envs.reset([5, 6]))
    assert others.restore(envs.snapshot(), observation)[1] == []
    for action in actions[steps:]:
        assert_identical(others.step(action), envs.step(action))
