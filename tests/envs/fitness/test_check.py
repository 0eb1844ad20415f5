"""What `jaxsac check` finds."""

import itertools
import random
import re
import time

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import broken_environments
from jaxsac.cli import commands
from jaxsac.envs.fitness import check, check_in_jax, time_limit
from jaxsac.envs.in_jax.pendulum import Pendulum
from jaxsac.envs.options import EnvOptions
from jaxsac.envs.registry import make


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(check, "STEPS", 100)
    # Whatever else this machine does.
    monkeypatch.setattr(check, "SLOW", 0.0)
    monkeypatch.setattr(time_limit, "SECONDS", 60.0)


def findings_of(name):
    findings = check.check(lambda: make(name, 1)[0])
    assert len({finding.what for finding in findings}) == len(findings)
    return {f.what: f for f in findings if f.verdict != "good"}


@pytest.mark.parametrize(
    ("name", "what", "verdict", "said"),
    [
        ("Unbounded", "action space", "bad", "is unbounded"),
        ("Clipped", "action space", "bad", r"ClipAction alone: leave it out.* Box\(-1.0, 1.0"),
        ("Wide", "action space", "bad", r"between -3e\+38 and 3e\+38"),
        ("Blind", "observation space", "bad", "is empty"),
        ("Counted", "observation space", "bad", "beyond int32"),
        ("Frames", "observation space", "advice", r"transpose\(1, 2, 0\)"),
        ("OldApi", "interface", "bad", "takes no seed"),
        ("NoInfo", "interface", "advice", "info of step is None"),
        ("Counting", "steps", "bad", "does not fit int32"),
        ("Outside", "bounds", "bad", "outside the bounds -0.001 to 0.001"),
        ("NaN", "finite numbers", "bad", "15 of 105 resets and steps"),
        ("Dated", "precision", "bad", "rounds away"),
        ("Clock", "determinism", "bad", "two copies"),
        ("PythonsGenerator", "determinism", "bad", "`random`"),
        ("LateCurriculum", "determinism", "bad", "its LateCurriculum counts in 'episodes'"),
        ("Centered", "determinism", "bad", "wrapper Centered"),
        ("Normalized", "determinism", "bad", "NormalizeObservation"),
        ("NoEnd", "episodes", "bad", "would not end"),
        ("TimedOut", "episodes", "advice", "each of 5 terminated after exactly 20 steps"),
        ("ResetsItself", "last observation", "bad", "the first observation of the next"),
        ("Rich", "rewards", "advice", "Scale them"),
        ("Unclosable", "closing", "bad", "the viewer is gone"),
    ],
)
def test_what_is_broken_in_one_way_has_that_one_finding(name, what, verdict, said):
    found = findings_of(f"broken_environments:{name}-v0")
    assert list(found) == [what]
    assert found[what].verdict == verdict
    assert re.search(said, found[what].detail)


@pytest.mark.filterwarnings("ignore:.*out of date")
@pytest.mark.parametrize(
    "name",
    [
        "Pendulum-v1", "MountainCarContinuous-v0", "HalfCheetah-v4", "HalfCheetah-v5", "Hopper-v4",
        "InvertedPendulum-v4", "InvertedPendulum-v5", "Ant-v5", "broken_environments:Sound-v0",
        "broken_environments:Only-v0", "broken_environments:Featureless-v0",
        "broken_environments:Tally-v0", "broken_environments:OpensOnReset-v0",
        "probe_environments:Scripted-v0",
    ],
)  # fmt: skip
def test_nothing_is_found_in_what_is_sound(name):
    assert findings_of(name) == {}


def test_what_is_drawn_while_checking_is_drawn_again_afterwards():
    before = random.getstate()
    findings_of("broken_environments:PythonsGenerator-v0")
    assert random.getstate() == before


def test_an_environment_that_raises_in_a_step_has_that_as_a_finding(monkeypatch):
    def fail(self, action):
        raise RuntimeError("the simulator broke")

    monkeypatch.setattr(broken_environments.Sound, "pay", fail)
    found = findings_of("broken_environments:Sound-v0")
    assert "RuntimeError: the simulator broke" in found["interface"].detail


def test_a_slow_environment_is_walked_by_one_step_at_least(monkeypatch):
    monkeypatch.setattr(check, "SECONDS", 0.0)
    assert findings_of("broken_environments:Sound-v0") == {}
    monkeypatch.setattr(time_limit, "SECONDS", 0.0)
    found = findings_of("broken_environments:NoEnd-v0")
    assert found["episodes"].verdict == "advice"
    assert "if none does in 10,000, an evaluation gives up" in found["episodes"].detail


def test_the_command_prints_a_table_and_its_exit_status_tells(capsys):
    assert commands.run(["check", "broken_environments:Sound-v0"]) == 0
    assert capsys.readouterr().out.count(" good ") == 12
    assert commands.run(["check", "broken_environments:TimedOut-v0"]) == 0
    assert " advice " in capsys.readouterr().out
    assert commands.run(["check", "broken_environments:NaN-v0"]) == 1
    assert "finite numbers" in capsys.readouterr().out
    assert commands.run(["check", "NoSuchRobot-v0"]) == 1
    assert "NoSuchRobot-v0" in capsys.readouterr().err


def test_numbers_that_float32_lacks_are_no_errors_of_numpy():
    with np.errstate(all="raise"):
        assert list(findings_of("broken_environments:Tiny-v0")) == ["rewards"]


def test_an_action_of_extreme_range_gets_the_range_that_is_advised():
    found = findings_of("broken_environments:Wide-v0")
    (code,) = re.findall(r"`(gymnasium.*?)`", found["action space"].detail)
    advised = eval(code, {"gymnasium": gymnasium, "env": broken_environments.Wide()})
    assert check.check_actions(advised).verdict == "good"


def test_rewards_scaled_as_advised_are_of_a_good_size():
    found = findings_of("broken_environments:Rich-v0")
    (code,) = re.findall(r"`(gymnasium.*?)`", found["rewards"].detail)
    advised = eval(code, {"gymnasium": gymnasium, "env": broken_environments.Rich()})
    advised.reset(seed=0)
    rewards = np.array([advised.step(np.ones(2))[1] for _ in range(50)], np.float64)
    assert check.check_reward_scale(rewards).verdict == "good"
    assert check.check_reward_scale(rewards * 1e-6).verdict == "advice"
    assert "all 50 are 0" in check.check_reward_scale(rewards * 0).detail


# In JAX.


class Changed(Pendulum):
    """A pendulum whose states are changed by a function."""

    def __init__(self, change):
        super().__init__(time_limit=10)
        self.change = change

    def step(self, state, action):
        return self.change(super().step(state, action))


def counted(state):
    count = itertools.count()
    number = jax.pure_callback(
        lambda: np.float32(next(count)),
        jax.ShapeDtypeStruct((), jnp.float32),
        vmap_method="sequential",
    )
    return state.replace(reward=state.reward + number)


@pytest.mark.parametrize(
    ("change", "what", "said"),
    [
        (lambda s: s.replace(observation=s.observation[:2]), "functions", "returns observations"),
        (lambda s: s.replace(angle=s.angle.astype(jnp.float16)), "functions", "of the state"),
        (lambda s: s.replace(reward=s.reward / 0), "finite numbers", "1600 of 1,600 steps"),
        (counted, "determinism", "not pure"),
        (lambda s: s.replace(reward=s.reward[None]), "functions", "expected scalars"),
        (lambda s: s.replace(terminated=jnp.int32(0)), "functions", "expected a bool"),
    ],
)
def test_what_is_broken_in_jax_has_that_one_finding(change, what, said):
    found = [f for f in check_in_jax.check(Changed(change)) if f.verdict == "bad"]
    assert [f.what for f in found] == [what]
    assert said in found[0].detail


def test_a_time_limit_that_is_none_is_told():
    for limit in (0, None, 2.5):
        (found,) = check_in_jax.check(Pendulum(time_limit=limit))
        assert f"the time limit is {limit}, expected a whole number" in found.detail


@pytest.mark.parametrize(
    ("name", "what", "said"),
    [
        (
            "action",
            (2,),
            r"an action is \(2,\), expected the struct of a vector, \(A,\): jax.Shape",
        ),
        ("observation", lambda: 3, r"an observation is <function .*expected a struct: jax.Shape"),
        (
            "reset",
            lambda key: {"observation": key},
            "returns a dict without attributes observation, rew",
        ),
        (
            "step",
            lambda *_: (0.0,),
            "step returns a tuple without attributes observation, rew",
        ),
    ],
)
def test_what_is_of_another_kind_in_jax_is_told_in_a_sentence(name, what, said):
    kind = type("Kind", (Pendulum,), {name: property(lambda self: what)})
    (found,) = check_in_jax.check(kind())
    assert re.search(said, found.detail)


def test_looking_at_the_interface_has_a_time_limit(monkeypatch):
    class Stuck(broken_environments.Sound):
        def reset(self, *, seed=None, options=None):
            time.sleep(60)

    (env,) = make("Stuck", 1, timeout=0.05, options=EnvOptions(function=Stuck))
    found = check.check_interface(env)
    assert found.verdict == "bad"
    assert "no answer within 0.05 seconds" in found.detail


def test_nothing_is_found_in_a_sound_environment_in_jax(capsys):
    assert commands.run(["check", "jaxsac:Pendulum-v1"]) == 0
    assert capsys.readouterr().out.count(" good ") == 6


def test_one_start_for_all_keys_is_told():
    class Still(Pendulum):
        def reset(self, key):
            return super().reset(jax.random.key(0))

    (told,) = [f for f in check_in_jax.check(Still()) if f.verdict != "good"]
    assert "the same observation, whatever the key" in told.detail
