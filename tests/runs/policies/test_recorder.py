"""Videos during training show what they say, and nothing of the run depends on them."""

import sys

import gymnasium
import imageio.v2
import pytest

import probe_environments
from jaxsac.cli import commands
from jaxsac.runs import train
from jaxsac.runs.policies import play
from run_examples import Listener, agent_of, assert_identical, small_run, trained

DRAWN = "probe_environments:Drawn-v0"


@pytest.fixture(autouse=True)
def writer():
    pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed")


def videos(directory):
    return sorted(path.name for path in (directory / "videos").iterdir())


def test_an_episode_of_the_first_seed_is_recorded_and_nothing_is_learned_otherwise(tmp_path):
    config = small_run(env=DRAWN, seed=3, record_every=25, checkpoint_every=25)
    assert train.train(config, tmp_path / "run", Listener())
    names = [f"step-00000000{step}-seed-3-return-" for step in (25, 50, 60)]
    found = videos(tmp_path / "run")
    assert [name.startswith(begin) for name, begin in zip(found, names, strict=True)] == [True] * 3
    assert len(imageio.v2.mimread(tmp_path / "run" / "videos" / found[0])) == 10
    # As `play` shows the checkpoint of that step.
    for name, step in zip(found[1:], (50, 60), strict=True):
        (played,) = play.play(tmp_path / "run", 3, step, output=tmp_path / "a.gif")
        assert name.endswith(f"-return-{played.episode_return:.1f}.mp4")
    plain = trained(small_run(env=DRAWN, seed=3), tmp_path / "plain")
    assert_identical(agent_of(tmp_path / "run", config), plain)
    assert not (tmp_path / "plain" / "videos").exists()


def test_a_run_may_be_resumed_with_and_without_videos(tmp_path):
    assert train.train(small_run(env=DRAWN), tmp_path / "run", Listener())
    config = small_run(env=DRAWN, steps=80, record_every=70)
    assert train.train(config, tmp_path / "run", Listener())
    assert [name[:15] for name in videos(tmp_path / "run")] == [
        "step-0000000070",
        "step-0000000080",
    ]


def test_a_recording_that_fails_is_said_once_and_the_run_goes_on(tmp_path):
    config = small_run(env=DRAWN, env_kwargs={"render_fault": "raise"}, record_every=20)
    listener = Listener()
    assert train.train(config, tmp_path / "run", listener)
    said = [text for text in listener.messages if "no more videos" in text]
    assert said == [
        "no more videos are recorded: the environment cannot be drawn here: no screen. The run "
        "goes on."
    ]
    assert videos(tmp_path / "run") == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--env", "jaxsac:Pendulum-v1"], "record_every 30: jaxsac:Pendulum-v1 is an environment"),
        (["--env", "probe_environments:Drift-v0"], "takes no argument render_mode"),
        (["--env", DRAWN, "--env-kwargs", '{"render_fault": "nothing"}'], "returns NoneType"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_the_run(tmp_path, capsys, options, said):
    command = ["train", *options, "--record-every", "30", "--run-dir", str(tmp_path / "run")]
    command += ["--steps", "300", "--learning-starts", "290"]
    assert commands.run(command) == 1
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_writer_is_named_with_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ModuleNotFoundError, match=r"writing \.mp4 needs .*'jaxsac\[video\]'"):
        train.train(small_run(env=DRAWN, record_every=30), tmp_path / "run", Listener())
    assert list(tmp_path.iterdir()) == []


def test_every_environment_is_closed(tmp_path, monkeypatch):
    open_now = []
    make, close = probe_environments.Drawn.__init__, gymnasium.Env.close

    def counted(self, *args, **kwargs):
        make(self, *args, **kwargs)
        open_now.append(self)

    def closed(self):
        close(self)
        open_now[:] = [env for env in open_now if env is not self]

    monkeypatch.setattr(probe_environments.Drawn, "__init__", counted)
    monkeypatch.setattr(probe_environments.Drawn, "close", closed)
    assert train.train(small_run(env=DRAWN, record_every=60), tmp_path / "run", Listener())
    assert open_now == []
