"""Environments on the host by their id."""

import importlib
import subprocess
import sys
import time

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import TransformReward

import broken_environments
import probe_environments
from jaxsac.envs import host, registry
from jaxsac.envs.checked import CheckedEnv
from jaxsac.envs.options import EnvOptions
from jaxsac.envs.registry import make


def test_made_environments_are_checked_and_leave_the_resets_to_the_driver():
    first, second = make("probe_environments:TwoStateEnd-v0", 2)
    assert isinstance(first, CheckedEnv)
    first.reset(seed=0)
    second.reset(seed=0)
    ends = [first.step(np.zeros(1, np.float32)) for _ in range(5)]
    assert [terminated for _, _, terminated, _, _ in ends] == [False] * 4 + [True]
    np.testing.assert_array_equal(ends[-1][0], [0, 1])
    untouched = second.unwrapped
    assert isinstance(untouched, probe_environments.TwoState)
    assert untouched.steps == 0


@pytest.mark.filterwarnings("error")
def test_what_gymnasiums_checker_would_refuse_or_warn_of_is_taken(monkeypatch):
    for kind in (broken_environments.NoInfo, broken_environments.Lists):
        monkeypatch.setitem(gymnasium.registry, "Odd-v0", EnvSpec("Odd-v0", kind))
        (env,) = make("Odd-v0", 1)
        env.reset(seed=0)
        env.step(np.zeros(2, np.float32))


def test_an_environment_of_the_users_own_module(tmp_path, monkeypatch):
    (tmp_path / "users_robot.py").write_text(
        "import gymnasium\n"
        "from probe_environments import Drift\n"
        "gymnasium.register('UsersRobot-v3', Drift, max_episode_steps=10)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    envs = host.HostEnvs(make("users_robot:UsersRobot-v3", 2), 1)
    assert envs.reset([0, 1]).shape == (1, 2, 2)


@pytest.mark.parametrize(
    "env_id", ["NoSuchRobot-v0", "Pendulum-v77", "probe_environments:No-v0", ""]
)
def test_an_unknown_id_is_refused_by_name(env_id):
    with pytest.raises(ValueError, match=f"unknown environment id '{env_id}'"):
        make(env_id, 1)


def test_an_environment_that_wraps_itself_by_a_function_of_its_own_has_copies(monkeypatch):
    def halved(**options):
        return TransformReward(gymnasium.make("Pendulum-v1", **options), lambda r: float(r) / 2)

    spec = EnvSpec("Halved-v0", halved)
    monkeypatch.setitem(gymnasium.registry, "Halved-v0", spec)
    assert len(make("Halved-v0", 3)) == 3


@pytest.mark.filterwarnings("ignore:.*out of date")
def test_a_version_that_has_left_gymnasium_names_the_one_that_is_there():
    with pytest.raises(ValueError, match=r"HalfCheetah-v3 is not made any more.*: use (.*)\.") as e:
        make("HalfCheetah-v3", 1)
    newest = str(e.value).rpartition("use ")[2].removesuffix(".")
    assert newest == "HalfCheetah-v5"
    assert len(make(newest, 1)) == 1


def test_an_environment_that_lacks_an_argument_is_told_of_env_kwargs(monkeypatch):
    def sized(size):
        return gymnasium.make("Pendulum-v1", max_episode_steps=size)

    def broken():
        return sized()  # pyright: ignore[reportCallIssue]

    for make_env, kind, said in (
        (
            sized,
            ValueError,
            r"cannot be made without arguments \(.*'size'\): give them as --env-kw",
        ),
        (broken, TypeError, "missing 1 required"),  # a mistake within, whose traceback is wanted
    ):
        monkeypatch.setitem(gymnasium.registry, "Sized-v0", EnvSpec("Sized-v0", make_env))
        with pytest.raises(kind, match=said):
            make("Sized-v0", 1)
    monkeypatch.setitem(gymnasium.registry, "Sized-v0", EnvSpec("Sized-v0", sized))
    assert len(make("Sized-v0", 1, options=EnvOptions({"size": 3}))) == 1


def test_a_mistake_within_what_takes_its_arguments_is_not_blamed_on_them():
    def helper():
        pass

    def sized(size):
        helper(size)  # pyright: ignore[reportCallIssue]

    with pytest.raises(TypeError, match="takes 0 positional arguments but 1 was given"):
        make("sized", 1, options=EnvOptions({"size": 3}, function=sized))
    for function in (sized, lambda **options: sized(**options)):
        with pytest.raises(ValueError, match=r"sized does not take the env_kwargs \{'seize': 3\}"):
            make("sized", 1, options=EnvOptions({"seize": 3}, function=function))


@pytest.mark.parametrize(
    ("space", "wrappers", "said"),
    [
        (gymnasium.spaces.Text(5), (), "is not a Box"),
        (gymnasium.spaces.Box(-1, 1), (lambda env: None,), "expected an environment"),
        (gymnasium.spaces.Box(-1, 1), (lambda env: 1 / 0,), "division"),
    ],
)
def test_what_is_refused_once_it_is_made_is_closed_again(space, wrappers, said):
    closed = []

    class Closing(gymnasium.Env):
        observation_space, action_space = space, gymnasium.spaces.Box(-1, 1)

        def close(self):
            closed.append(self)
            sys.exit("the first reason counts")

    with pytest.raises((ValueError, ZeroDivisionError), match=said):
        make("Closing", 1, options=EnvOptions(wrappers=wrappers, function=Closing))
    assert len(closed) == 1


def test_making_a_copy_has_a_limit_where_one_is_given():
    with pytest.raises(TimeoutError, match=r"no answer within 0\.2 seconds"):
        make("slow", 1, options=EnvOptions(function=lambda: time.sleep(60)), patience=0.2)


def test_an_environment_that_ends_the_program_when_it_is_made_is_a_fault(monkeypatch):
    def unlicensed():
        sys.exit("no licence")

    monkeypatch.setitem(gymnasium.registry, "Sim-v0", EnvSpec("Sim-v0", unlicensed))
    with pytest.raises(RuntimeError, match="no licence") as raised:
        make("Sim-v0", 1)
    assert raised.value.__notes__ == ["In the environment: making Sim-v0."]


def test_an_environment_without_a_space_is_refused(monkeypatch):
    class Spaceless(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1, 1, (3,))

    monkeypatch.setitem(gymnasium.registry, "Spaceless-v0", EnvSpec("Spaceless-v0", Spaceless))
    with pytest.raises(ValueError, match="Spaceless-v0, copy 0 has no action_space"):
        make("Spaceless-v0", 1)


def test_a_class_that_is_no_environment_is_told_what_it_lacks():
    class Almost:
        observation_space = action_space = gymnasium.spaces.Box(-1, 1, (3,))

        def reset(self, seed=None, options=None):
            return np.zeros(3), {}

        def step(self, action):
            return np.zeros(3), 0.0, False, False, {}

    with pytest.raises(ValueError, match="lacks time_limit, observation, action: derive the class"):
        registry.make_in_jax("Almost", EnvOptions(function=Almost))


def test_a_missing_module_is_named():
    with pytest.raises(ModuleNotFoundError, match=r"no_such_module.* must be importable from"):
        make("no_such_module:Robot-v0", 1)


def test_a_missing_module_of_an_environment_that_is_there_is_to_be_installed(monkeypatch):
    def simulated():
        importlib.import_module("no_such_simulator")

    monkeypatch.setitem(gymnasium.registry, "Sim-v0", EnvSpec("Sim-v0", simulated))
    with pytest.raises(ModuleNotFoundError, match=r"'no_such_simulator'\. Install it\.$"):
        make("Sim-v0", 1)


def test_a_missing_dependency_names_the_command_that_installs_it(monkeypatch):
    def fail(*args, **kwargs):
        raise gymnasium.error.DependencyNotInstalled("No module named 'mujoco'")

    monkeypatch.setattr(gymnasium, "make", fail)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jaxsac\[envs\]'") as refusal:
        make("HalfCheetah-v4", 1)
    assert "HalfCheetah-v4" in str(refusal.value)


def test_mujoco_writes_no_log_into_the_working_folder(tmp_path):
    code = """
from jaxsac.envs import host
from jaxsac.envs.registry import make, redirect_mujoco_warnings
redirect_mujoco_warnings()
for version in (4, 5):
    envs = host.HostEnvs(make(f"HalfCheetah-v{version}", 2), 2)
    assert envs.reset([0, 1]).shape == (2, 1, 17)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert list(tmp_path.iterdir()) == []
    assert "settotalmass" not in result.stderr
    assert result.stderr.count("HalfCheetah-v4 is out of date") == 1
