import gymnasium
import jax
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import probe_environments  # noqa: F401  (registers)
from assertions import assert_identical
from jaxsac.envs import host
from jaxsac.envs.make import make

MUJOCO = [
    "Ant", "HalfCheetah", "Hopper", "Humanoid", "HumanoidStandup", "InvertedDoublePendulum",
    "InvertedPendulum", "Pusher", "Reacher", "Swimmer", "Walker2d",
]  # fmt: skip
IDS = [*(f"{name}-v5" for name in MUJOCO), "Ant-v4", "Pendulum-v1", "MountainCarContinuous-v0"]


def actions_of(envs, count, key=0):
    shape = (count, envs.num_seeds, envs.num_envs, envs.action_map.size)
    return np.random.default_rng(key).uniform(-1, 1, shape).astype(np.float32)


def assert_same_step(actual, expected):
    (arrival, episodes), (expected_arrival, expected_episodes) = actual, expected
    assert_identical(arrival, expected_arrival)
    assert episodes == expected_episodes


def pair(env_id):
    return host.HostEnvs(make(env_id, 2), 1)


@pytest.mark.parametrize("env_id", IDS)
def test_fresh_copies_go_on_where_others_stopped_bit_for_bit(env_id):
    envs, others = pair(env_id), pair(env_id)
    actions = actions_of(envs, 160)
    envs.reset([5, 6])
    for action in actions[:90]:
        envs.step(action)
    assert others.restore(envs.snapshot(), envs.discarded) == []
    for action in actions[90:]:
        assert_same_step(others.step(action), envs.step(action))


@pytest.mark.parametrize("steps", [0, 1, 12])
def test_the_first_episode_and_its_start_can_be_gone_to(steps):
    envs, others = pair("Pendulum-v1"), pair("Pendulum-v1")
    actions = actions_of(envs, steps + 3)
    envs.reset([1, 2])
    for action in actions[:steps]:
        envs.step(action)
    assert others.restore(envs.snapshot(), envs.discarded) == []
    for action in actions[steps:]:
        assert_same_step(others.step(action), envs.step(action))


def test_a_snapshot_stays_as_it_is_while_its_environments_go_on_to_the_next_episode():
    envs, others = pair("Hopper-v5"), pair("Hopper-v5")
    actions = actions_of(envs, 200)
    envs.reset([1, 2])
    for action in actions[:30]:
        envs.step(action)
    snapshot = envs.snapshot()
    expected = [envs.step(action) for action in actions[30:]]
    assert sum(len(episodes) for _, episodes in expected) > 2
    others.restore(snapshot, np.zeros(1, np.int64))
    for action, step in zip(actions[30:], expected, strict=True):
        assert_same_step(others.step(action), step)


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

    def step(self, action):
        self.position += float(action[0])
        return np.array([self.position, 0.0]), 1.0, False, False, {}


def test_an_environment_that_its_seed_does_not_decide_starts_anew_and_is_reported():
    gymnasium.register("test_trail/Unseeded-v0", Unseeded, disable_env_checker=True)
    envs, others = pair("test_trail/Unseeded-v0"), pair("test_trail/Unseeded-v0")
    actions = actions_of(envs, 5)
    envs.reset([1, 2])
    for action in actions:
        envs.step(action)
    assert others.restore(envs.snapshot(), np.array([3])) == [0, 1]
    arrival, _ = others.step(actions[0])
    first = arrival.transition.observation[0, :, 0]
    assert first.tolist() == [Unseeded.resets - 2, Unseeded.resets]
    np.testing.assert_allclose(arrival.observation[0, :, 0], first + actions[0, 0, :, 0], rtol=1e-6)
    assert others.discarded.tolist() == [3]


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
    envs, others = (
        host.HostEnvs(SyncVectorEnv([OfAnyLength], autoreset_mode=AutoresetMode.DISABLED), 1)
        for _ in range(2)
    )
    envs.reset([0])
    for action in actions_of(envs, 6):
        envs.step(action)
    assert others.restore(envs.snapshot(), envs.discarded) == [0]


class OldGenerator(Unseeded):
    """Draws its starts from a generator whose state is not public."""

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            self.np_random = np.random.RandomState(seed)
        self.position = float(self.np_random.uniform(-1, 1))
        return np.array([self.position, 0.0]), {}


def test_a_generator_that_cannot_be_saved_costs_an_episode_on_the_way_back_and_nothing_else():
    gymnasium.register("test_trail/Old-v0", OldGenerator, max_episode_steps=4)
    envs, others = pair("test_trail/Old-v0"), pair("test_trail/Old-v0")
    actions = actions_of(envs, 6)
    envs.reset([1, 2])
    for action in actions:
        envs.step(action)
    assert others.restore(envs.snapshot(), envs.discarded) == [0, 1]


def test_copies_that_reset_themselves_cannot_be_saved():
    vector = gymnasium.make_vec(
        "Pendulum-v1", 2, "sync", vector_kwargs={"autoreset_mode": AutoresetMode.NEXT_STEP}
    )
    envs = host.HostEnvs(vector, 1)
    envs.reset([0, 1])
    with pytest.raises(TypeError, match="SyncVectorEnv without autoreset"):
        envs.snapshot()


def test_an_environment_that_raises_leaves_the_driver_as_it_was():
    envs, others = pair("Pendulum-v1"), pair("Pendulum-v1")
    actions = actions_of(envs, 20)
    envs.reset([1, 2])
    for action in actions[:10]:
        envs.step(action)
    before = jax.tree.map(np.copy, envs.snapshot().arrays)

    def broken(action):
        raise RuntimeError("broken")

    envs._copies[1].unwrapped.step = broken
    with pytest.raises(RuntimeError, match="broken"):
        envs.step(actions[10])
    assert_identical(envs.snapshot().arrays, before)
    assert [len(trail.actions) for trail in envs.snapshot().trails] == [10, 10]
    assert others.restore(envs.snapshot(), envs.discarded) == []
