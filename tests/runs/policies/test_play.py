"""Videos show the policy that they say, and nothing is drawn where nothing can be."""

import ctypes.util
import os
import sys
from typing import Any

import gymnasium
import jax
import numpy as np
import pytest
from PIL import Image, ImageSequence

import jaxsac
from jaxsac.cli import commands
from jaxsac.envs.action_map import ActionMap
from jaxsac.envs.host import environment_seeds
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.metrics import metrics
from jaxsac.runs.policies import drawn, play, video
from jaxsac.runs.policies.evaluation import FRESH
from jaxsac.runs.run import Run
from jaxsac.training.population import EVALUATION_STREAM
from saved_policies import policy_of, save

ENV = "probe_environments:Drawn-v0"
POSITION = jax.ShapeDtypeStruct((2,), np.float32)
UNITS = ActionMap(np.full(2, -1.0), np.full(2, 3.0), (2,), np.dtype(np.float32))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    policies = [policy_of(POSITION, UNITS, seed=seed) for seed in range(4)]
    return save(tmp_path_factory.mktemp("saved") / "run", policies, [5.0, 1.0, 9.0, 3.0], ENV)


def return_by_hand(run, seed):
    policy = jaxsac.load_policy(run, seed, "best")
    env = gymnasium.make(ENV)
    (start,) = environment_seeds(seed, (EVALUATION_STREAM, FRESH), 1)
    observation, _ = env.reset(seed=start)
    total, over = 0.0, False
    while not over:
        observation, reward, terminated, truncated, _ = env.step(policy(observation))
        total, over = total + float(reward), terminated or truncated
    return total


def test_best_median_and_worst_are_played_with_their_own_returns(run, tmp_path, capsys):
    command = ["play", str(run), "--which", "best", "--output", str(tmp_path / "film.gif")]
    assert commands.run(command) == 0
    returns = {seed: return_by_hand(run, seed) for seed in (2, 0, 1)}
    assert len(set(returns.values())) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"seed {seed}: return {value:,.1f}, 10 steps  "
        f"{tmp_path}/film-seed-{seed}-return-{value:.1f}.gif"
        for seed, value in returns.items()
    ]
    assert len(list(tmp_path.iterdir())) == 3
    for file in tmp_path.iterdir():
        frames = [
            np.asarray(each.convert("RGB")) for each in ImageSequence.Iterator(Image.open(file))
        ]
        assert len(frames) == 10
        widths = [(frame[0, :, 0] > 127).sum() for frame in frames]
        assert widths == list(range(1, 11))
        assert Image.open(file).info["duration"] == 50


def test_one_seed_and_several_episodes_from_python(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    played = Run(run).play(0, "best", output="~/a.gif", episodes=2)
    assert {each.path.parent for each in played} == {tmp_path}
    assert [each.length for each in played] == [10, 10]
    first, second = (each.path.name for each in played)
    assert first.startswith("a-seed-0-episode-1-return-")
    assert second.startswith("a-seed-0-episode-2-return-")
    assert played[0].episode_return == return_by_hand(run, 0) != played[1].episode_return


def test_an_mp4_has_every_step(run, tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    import imageio.v2

    (played,) = play.play(run, 0, "best", output=tmp_path / "a.mp4")
    assert len(imageio.v2.mimread(played.path)) == 10


def test_actions_are_in_the_units_of_the_environment_that_is_played(run, tmp_path):
    # In JAX a pendulum's actions lie in [-1, 1], in Gymnasium in [-2, 2].
    units = ActionMap.unit(jax.ShapeDtypeStruct((2,), np.float32))
    policies = [policy_of(POSITION, units, seed=0)]
    other = save(tmp_path / "run", policies, [5.0], "jaxsac:Pendulum-v1")
    (there,) = play.play(run, 0, "best", output=tmp_path / "a.gif")
    (here,) = play.play(other, 0, "best", output=tmp_path / "b.gif", changes={"env": ENV})
    assert here.episode_return == there.episode_return


def test_the_members_are_ranked_by_what_was_measured_until_then(tmp_path):
    policies = [policy_of(POSITION, UNITS, seed=seed) for seed in range(3)]
    directory = save(tmp_path / "run", policies, [1.0, 2.0, 3.0], ENV)
    run, curves = RunDirectory(directory), ([7, 1, None], [None, 5, 2], [6, 6, None])
    with pytest.raises(ValueError, match=r"no returns to choose .* --seed"):
        next(play.play(directory, output=tmp_path / "a.gif"))
    run.metrics.mkdir()
    for seed, curve in enumerate(curves):
        text = "step,eval_return,train_return\n"
        for number, value in enumerate(curve):
            text += f"{100 * number},{'' if value is None else value},{seed}\n"
        metrics.path(run.metrics, f"seed-{seed:04d}").write_text(text)
    members = play._chosen(run, "latest"), play._chosen(run, 100), play._chosen(run, 0)
    assert [[each.seed for each in found] for found in members] == [[2, 1, 0], [2, 1, 0], [0, 2, 1]]


# What cannot be drawn.


def test_a_class_that_does_not_draw_is_said_to():
    with pytest.raises(ValueError, match=r"cannot be drawn here: its class has no render\(\)\.$"):
        drawn.frame(gymnasium.Env())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--env", "jaxsac:Pendulum-v1"], "there is nothing to see"),
        (["--env", "probe_environments:Drift-v0"], "takes no argument render_mode"),
        (["--env-kwargs", '{"render_fault": "raise"}'], "cannot be drawn here: no screen."),
        (["--env-kwargs", '{"render_fault": "nothing"}'], "rgb_array returns NoneType"),
        (["--env", "probe_environments:TwoStateLimit-v0"], "takes no argument render_mode"),
        (["--output", "film.avi"], "film.avi must end in .mp4 or .gif"),
        (["--episodes", "0"], "episodes must be at least 1"),
        (["--seed", "9"], "has no seed 9"),
        (["--point", "1"], "give that too, with --seed"),
    ],
)
def test_a_refusal_is_one_line_and_leaves_nothing(
    run, tmp_path, monkeypatch, capsys, options, said
):
    monkeypatch.chdir(tmp_path)
    command = ["play", str(run), "--which", "best", "--output", "film.gif", *options]
    assert commands.run(command) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("jaxsac: ") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_writer_of_mp4_is_named_with_what_installs_it(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ModuleNotFoundError, match=r"writing \.mp4 needs .*'jaxsac\[video\]'"):
        next(play.play(run, which="best"))


@pytest.mark.parametrize(
    ("there", "environment", "expected"),
    [
        (("EGL", "OSMesa"), {}, "egl"),
        (("OSMesa",), {}, "osmesa"),
        ((), {}, None),
        (("EGL",), {"DISPLAY": ":0"}, None),
        (("EGL",), {"MUJOCO_GL": "glfw"}, "glfw"),
    ],
)
def test_mujoco_is_told_how_to_draw_without_a_screen(monkeypatch, there, environment, expected):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL"):
        monkeypatch.setenv(name, environment.get(name, ""))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: name if name in there else None)
    video.draw_without_a_screen()
    assert (os.environ["MUJOCO_GL"] or None) == expected


def test_mujoco_looks_through_the_camera_that_follows():
    pytest.importorskip("mujoco")

    def camera_of(**kwargs):
        made = gymnasium.make("HalfCheetah-v5", render_mode="rgb_array", **kwargs)
        env: Any = made.unwrapped
        drawn._follow(env)
        return env.mujoco_renderer.camera_id

    assert camera_of() == 0
    assert camera_of(camera_id=-1) == -1
