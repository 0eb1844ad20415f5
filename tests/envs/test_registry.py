"""Environments on the host by their id."""

import importlib
import subprocess
import sys
import time
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import TransformReward

import broken_environments
import probe_environments
from jaxsac.envs import host
from jaxsac.envs.checked import CheckedEnv
from jaxsac.envs.copies import mujoco_warnings
from jaxsac.envs.in_jax import families
from jaxsac.envs.in_jax.pendulum import Pendulum
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


def test_several_environments_in_one_are_refused_and_closed():
    made = []

    def several():
        made.append(gymnasium.vector.SyncVectorEnv([probe_environments.TwoState] * 2))
        return made[-1]

    with pytest.raises(ValueError, match=r"makes several .*: make a single one, of which --num-en"):
        make("several", 1, options=EnvOptions(function=several))
    assert made[0].closed


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
        families.make_in_jax("Almost", EnvOptions(function=Almost))


def test_a_missing_module_is_named():
    said = r"no_such_module.* must be installed, or importable"
    with pytest.raises(ModuleNotFoundError, match=said):
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
from jaxsac.envs.copies import mujoco_warnings
from jaxsac.envs.registry import make
mujoco_warnings.redirect()
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


class InJax(Pendulum):
    """An environment in JAX of a module."""


def test_a_class_of_an_environment_in_jax_is_found_by_its_name():
    found = families.make_in_jax("test_registry:InJax", EnvOptions(kwargs={"time_limit": 7}))
    assert isinstance(found, InJax)
    assert found.time_limit == 7
    assert families.make_in_jax("test_registry:broken_environments.Sound") is None
    with pytest.raises(ValueError, match=r"does not take the env_kwargs \{'speed': 1\}"):
        families.make_in_jax("test_registry:InJax", EnvOptions(kwargs={"speed": 1}))


def test_what_a_class_in_jax_needs_is_named_and_no_extra_of_ours():
    class Missing(Pendulum):
        def __init__(self):
            importlib.import_module("no_such_simulator")

    class Sized(Pendulum):
        def __init__(self, size):
            super().__init__()

    with pytest.raises(ModuleNotFoundError, match=r"No module named 'no_such_simulator'. Install"):
        families.make_in_jax("mine:Missing", EnvOptions(function=Missing))
    with pytest.raises(ValueError, match=r"cannot be made without arguments \(.*'size'\)"):
        families.make_in_jax("mine:Sized", EnvOptions(function=Sized))
    with pytest.raises(ValueError, match=r"is one of Gymnasium's environments, and mine:InJax is"):
        families.make_in_jax("mine:InJax", EnvOptions(function=InJax, wrappers=(TransformReward,)))
    with pytest.raises(ValueError, match=r"for an environment in JAX it lacks time_limit"):
        families.make_in_jax(
            "mine:InJax", EnvOptions(function=InJax, wrappers=(lambda env: env.observation,))
        )


def test_an_error_in_making_an_environment_stays_the_one_that_it_is(monkeypatch):
    def lacks_library():
        raise ImportError("libGL.so.1: cannot open shared object file")

    def refuses(size):
        raise TypeError("argument 'q' required") from ValueError("bad")

    for version in (0, 1):
        monkeypatch.setitem(
            gymnasium.registry, f"Own-v{version}", EnvSpec(f"Own-v{version}", lacks_library)
        )
    with pytest.raises(ImportError, match="libGL"):
        make("Own-v0", 1)
    with pytest.raises(ImportError, match="libGL"):
        make("mine:outer.<locals>.make", 1, options=EnvOptions(function=lacks_library))
    with pytest.raises(TypeError, match="argument 'q' required"):
        make("mine:refuses", 1, options=EnvOptions({"size": 1}, function=refuses))


def test_what_is_misspelt_in_a_module_is_named():
    with pytest.raises(ValueError, match="has no function or class Nope"):
        make("test_registry:Nope", 1)
    with pytest.raises(ValueError, match=r"'./mine.py' is a file, expected a module"):
        make("./mine.py:Robot", 1)
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'shimmyx'. In module:EnvId"):
        make("shimmyx:dm_control/fish-v0", 1)


def test_a_wrapper_may_not_end_the_program_and_is_closed_where_a_later_one_is_refused():
    closed = []

    class Holding(gymnasium.Wrapper):
        def close(self):
            closed.append(True)
            super().close()

    def leave(env):
        sys.exit(3)

    for wrapper, kind, said in (
        (leave, RuntimeError, "SystemExit"),
        (lambda env: None, ValueError, "returns None, expected an environment"),
    ):
        with pytest.raises(kind, match=said):
            make("Pendulum-v1", 1, options=EnvOptions(wrappers=(Holding, wrapper)))
    assert closed == [True, True]


def test_a_warning_of_mujocos_that_is_an_error_does_not_go_into_native_code(monkeypatch):
    mujoco, told = pytest.importorskip("mujoco"), []
    monkeypatch.setattr(mujoco, "set_mju_user_warning", told.append)
    mujoco_warnings.redirect()
    with pytest.warns(RuntimeWarning, match="MuJoCo: unstable"):
        told[0]("unstable")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told[0]("unstable")
