"""An environment's faults are named, and it cannot hang for ever."""

import re
import time
from collections import OrderedDict
from decimal import Decimal
from fractions import Fraction
from typing import Any

import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import broken_environments
import probe_environments
from assertions import assert_identical
from jaxsac.envs import host
from jaxsac.envs.checked import CheckedEnv, close_and_tell, is_fault
from jaxsac.envs.registry import make


class Odd(gymnasium.Env):
    """Returns what it was given as its second observation and reward."""

    def __init__(
        self, observation=None, reward=0.0, space=spaces.Box(-1, 1, (3,)), act=None, flag=False
    ):
        self.observation_space, self.action_space = space, spaces.Box(-1, 1, (1,))
        self.observation, self.reward, self.act, self.flag = observation, reward, act, flag

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action) -> tuple[Any, float, bool, bool, dict]:
        if self.act:
            self.act()
        good = self.observation_space.sample()
        observation = good if self.observation is None else self.observation
        return observation, self.reward, self.flag, False, {}


def checked(timeout=0.0, **arguments):
    env = CheckedEnv(Odd(**arguments), "Odd, seed 3", timeout)
    env.reset(seed=0)
    return env


IMAGE = spaces.Box(0, 255, (2, 2), np.uint8)
DICT = spaces.Dict({"a": spaces.Box(-1, 1, (2,))})


@pytest.mark.parametrize(
    ("space", "observation", "said"),
    [
        (spaces.Box(-1, 1, (3,)), np.zeros(1, np.float32), r"shape \(1,\).*says \(3,\)"),
        (spaces.Box(-1, 1, (3,)), np.zeros((3, 1), np.float32), r"shape \(3, 1\).*says \(3,\)"),
        (spaces.Box(-1, 1, (3,)), np.float32(0), r"shape \(\).*says \(3,\)"),
        (IMAGE, np.zeros((2, 2)), "dtype float64.*says uint8"),
        (DICT, {"b": np.zeros(2, np.float32)}, r"'b'.*says.*'a'"),
        (DICT, {"a": np.zeros(3, np.float32)}, r"shape \(3,\).*says \(2,\)"),
    ],
)
def test_an_observation_that_does_not_fit_its_space_is_refused(space, observation, said):
    env = checked(space=space, observation=observation)
    with pytest.raises(ValueError, match=said) as raised:
        env.step(np.zeros(1))
    assert raised.value.__notes__ == ["In the environment: step 1 of an episode of Odd, seed 3."]


@pytest.mark.parametrize(
    ("space", "observation"),
    [
        (spaces.Box(-1, 1, (3,)), np.zeros(3, int)),
        (spaces.Box(-1, 1, (3,)), np.zeros(3)),  # float64 for float32 loses nothing that counts
        (spaces.Box(-1, 1, (3,), np.float64), np.zeros(3, np.float32)),
        (IMAGE, np.zeros((2, 2), np.uint8)),
        (DICT, {"a": np.zeros(2, np.float32)}),
        (DICT, OrderedDict(a=np.zeros(2, np.float32))),
    ],
)
def test_an_observation_that_fits_passes(space, observation):
    expected = dict(observation) if isinstance(observation, dict) else observation
    assert_identical(checked(space=space, observation=observation).step(np.zeros(1))[0], expected)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (np.zeros(2), "one ndarray"),
        ({"a": 0, "b": 1}, "one dict"),
        ((0, 1, {}), "3 values"),
        (None, "one NoneType"),
    ],
)
def test_a_reset_that_returns_no_pair_is_refused(returned, said):
    env = CheckedEnv(Odd(), "Odd, seed 3")
    env.unwrapped.reset = lambda **_: returned
    with pytest.raises(ValueError, match=f"reset returns {said}, expected observation, info"):
        env.reset()


def test_a_step_that_returns_a_dict_is_refused():
    env = CheckedEnv(broken_environments.Named(), "Named")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="step returns one dict, expected observation, reward"):
        env.step(np.zeros(2))


def test_a_mapping_of_any_kind_can_be_saved_and_brought_back():
    class Ordered(Odd):
        def reset(self, *, seed=None, options=None):
            observation, info = super().reset(seed=seed)
            return OrderedDict(observation), info

    def envs():
        env = Ordered(OrderedDict(a=np.ones(2, np.float32)), space=DICT)
        return host.HostEnvs([CheckedEnv(env, "Ordered")], 1)

    first, second = envs(), envs()
    first.reset([0])
    result, _ = first.step(np.zeros((1, 1, 1), np.float32))
    assert second.restore(first.snapshot(), result.observation)[1] == []


def test_a_first_observation_is_looked_at_too():
    env = CheckedEnv(Odd(), "Odd, seed 3")
    env.unwrapped.observation_space = spaces.Box(-1, 1, (4,))
    with pytest.raises(ValueError, match="shape") as raised:
        env.reset()
    assert raised.value.__notes__ == ["In the environment: a reset of Odd, seed 3."]


def test_every_reset_of_an_environment_is_without_options():
    seen = []

    class Options(Odd):
        def reset(self, *, seed=None, options=None):
            seen.append(options)
            return super().reset(seed=seed)

        def step(self, action):
            observation, reward, *_ = super().step(action)
            return observation, reward, True, False, {}

    envs = host.HostEnvs([CheckedEnv(Options(), "Options")], 1)
    envs.reset([0])
    for _ in range(3):
        envs.step(np.zeros((1, 1, 1), np.float32))
    assert seen == [None] * 4


@pytest.mark.parametrize("reward", [np.zeros(2), None, "1", [], {"x": 1.0}, 1j])
def test_a_reward_that_is_no_number_is_refused(reward):
    with pytest.raises(ValueError, match=f"reward is {re.escape(repr(reward))}, expected one num"):
        checked(reward=reward).step(np.zeros(1))


@pytest.mark.parametrize("reward", [2.5, np.float32(2.5), np.array([[2.5]]), [2.5]])
def test_a_reward_in_an_array_of_one_is_taken(reward):
    taken = checked(reward=reward).step(np.zeros(1))[1]
    assert (taken, np.ndim(taken)) == (2.5, 0)
    assert checked(reward=np.array([True])).step(np.zeros(1))[1] == 1


@pytest.mark.parametrize(
    "reward",
    [jnp.bfloat16(2.5), jnp.ones(1, jnp.bfloat16) * 2.5, Fraction(5, 2), Decimal("2.5")],
)
def test_a_reward_that_numpy_does_not_know_is_taken(reward):
    taken = checked(reward=reward).step(np.zeros(1))[1]
    assert taken == 2.5
    assert type(taken) is float
    assert checked(reward=2**70).step(np.zeros(1))[1] == 2.0**70


@pytest.mark.parametrize("flag", ["False", np.nan, 2, [True, False], {}])
def test_a_flag_that_is_neither_true_nor_false_is_refused(flag):
    with pytest.raises(ValueError, match=f"terminated is {re.escape(repr(flag))}, expected True"):
        checked(flag=flag).step(np.zeros(1))


@pytest.mark.parametrize(
    ("flag", "meant"),
    [(None, False), (0, False), (1.0, True), (np.array([True]), True), (np.bool_(False), False)],
)
def test_a_flag_in_another_form_is_taken(flag, meant):
    assert checked(flag=flag).step(np.zeros(1))[2] is meant


PAIR = spaces.Tuple((spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1, ())))


def test_a_list_is_an_array_or_a_tuple_as_the_space_says():
    taken = checked(observation=[0.5, -0.5, 0.0]).step(np.zeros(1))[0]
    np.testing.assert_array_equal(taken, [0.5, -0.5, 0.0])
    taken = checked(space=PAIR, observation=[[0.5, -0.5], 1.0]).step(np.zeros(1))[0]
    assert isinstance(taken, tuple)
    np.testing.assert_array_equal(taken[0], [0.5, -0.5])
    with pytest.raises(ValueError, match=r"shape \(2,\).*says \(3,\)"):
        checked(observation=[0.5, -0.5]).step(np.zeros(1))
    with pytest.raises(ValueError, match=r"an observation is \[0.5, \[1\], 0\], which is no array"):
        checked(observation=[0.5, [1], 0]).step(np.zeros(1))


def test_another_structure_is_said_in_words():
    for observation in ([np.zeros(2)], np.zeros(2), {"a": np.zeros(2)}):
        with pytest.raises(ValueError, match=r"says \(an array of shape \(2,\), an array of") as e:
            checked(space=PAIR, observation=observation).step(np.zeros(1))
        assert "PyTree" not in str(e.value)


def test_an_environment_whose_reset_has_no_options_is_reset_without_them_behind_any_wrapper():
    seeds = []

    class Old(Odd):
        def reset(self, *, seed=None):  # pyright: ignore[reportIncompatibleMethodOverride]
            seeds.append(seed)
            return super().reset(seed=seed)

    class Passing(gymnasium.Wrapper):
        def reset(self, *, seed=None):  # pyright: ignore[reportIncompatibleMethodOverride]
            return self.env.reset(seed=seed, options=None)

    wrapped = gymnasium.wrappers.TimeLimit(Passing(Old()), 5)
    env = CheckedEnv(wrapped, "Old")
    env.reset(seed=4)
    env.reset()
    assert seeds == [4, None]


def test_what_an_environment_raises_says_which_and_in_which_step():
    def fail():
        raise KeyError("joint")

    env = checked(act=fail)
    for number in (1, 2):
        with pytest.raises(KeyError, match="joint") as raised:
            env.step(np.zeros(1))
        assert raised.value.__notes__ == [
            f"In the environment: step {number} of an episode of Odd, seed 3."
        ]


def test_a_step_that_takes_too_long_is_ended():
    env = checked(act=lambda: time.sleep(30))
    env.timeout = 0.05  # after its reset, which may be slow here
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"within 0\.05 seconds") as raised:
        env.step(np.zeros(1))
    assert time.monotonic() - start < 10
    assert raised.value.__notes__ == ["In the environment: step 1 of an episode of Odd, seed 3."]


def test_copies_are_called_by_their_names():
    copies = make("probe_environments:Broken-v0", 2, "seed {}".format)
    second = copies[1].unwrapped
    assert isinstance(second, probe_environments.Drift)
    second.life = 29  # breaks in its next step
    envs = host.HostEnvs(copies, 2)
    envs.reset([0, 1])
    with pytest.raises(RuntimeError, match="broke") as raised:
        envs.step(np.zeros((2, 1, 2), np.float32))
    (note,) = raised.value.__notes__
    assert note.endswith("of an episode of probe_environments:Broken-v0, seed 1.")


@pytest.mark.parametrize("end", [SystemExit(3), StopIteration()])
def test_what_would_end_the_program_or_a_loop_is_an_error_of_the_environment(end):
    class Ending(Odd):
        def close(self):
            raise end

    def step():
        raise end

    with pytest.raises(RuntimeError, match=re.escape(repr(end))) as raised:
        checked(act=step).step(np.zeros(1))
    assert is_fault(raised.value)
    with pytest.warns(UserWarning, match=f"Odd raises when it is closed: .*{re.escape(repr(end))}"):
        close_and_tell("Odd", CheckedEnv(Ending(), "Odd"))


def test_an_environment_that_never_closes_is_given_up():
    class Stuck(Odd):
        def close(self):
            time.sleep(60)

    with pytest.warns(UserWarning, match=r"Odd raises when it is closed: TimeoutError\('no answer"):
        close_and_tell("Odd", CheckedEnv(Stuck(), "Odd", timeout=0.1))
