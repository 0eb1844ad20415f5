"""A model card says what was measured, is read by the hub, and its example acts."""

import json
import re
import sys
import types

import jax
import numpy as np
import pytest
import yaml

import jaxsac
from jaxsac.cli import commands
from jaxsac.reports import card, card_text
from jaxsac.reports.card import export_with_card
from jaxsac.reports.card_text import OwnReturn
from jaxsac.reports.report import report
from jaxsac.reports.statistics import Estimate
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.export.export import Exported
from jaxsac.runs.export.parity import Parity
from jaxsac.runs.metrics import learning_curve, metrics
from saved_policies import FLAT, NESTED, observations_of, policy_of, save

RETURNS = (5.0, 1.0, 9.0, 3.0)
PARITY = Parity(10_000, 0.0, 0.0, 1e-5, 0.5, 0, 0.0)


def saved(directory, observation=FLAT, returns=RETURNS, **settings):
    policies = [policy_of(observation, seed=seed) for seed in range(len(returns))]
    save(directory, policies, returns, **settings)
    run = RunDirectory(directory)
    run.metrics.mkdir()
    for name, value in zip(run.config().member_names, returns, strict=True):
        text = f"step,eval_return,eval_return_std\n100,0,1\n300,{value},0.25\n"
        metrics.path(run.metrics, name).write_text(text)
    return directory


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("saved") / "run")


def front_matter_of(card):
    return yaml.safe_load(card.read_text().split("---\n")[1])


def test_the_card_has_the_returns_that_the_run_and_its_report_have(run, tmp_path, drawn_quickly):
    made = export_with_card(run, output=tmp_path / "policy", seed=2, which="best")
    (entry,) = front_matter_of(made.card)["model-index"]
    (result,) = entry["results"]
    assert result["task"]["type"] == "reinforcement-learning"
    assert result["dataset"]["type"] == "probe_environments:Drift-v0"
    own, seeds = result["metrics"]
    assert (own["type"], own["value"]) == ("mean_reward", "9.00 +/- 0.25")
    final = report(run, tmp_path / "report").tasks[0].results[0].final
    assert seeds["value"] == round(final.value, 2)
    interval = f"95 % interval {final.low:.2f} to {final.high:.2f}"
    assert seeds["name"] == f"interquartile mean over 4 seeds, {interval}"
    text = made.card.read_text()
    assert f"| {final.value:.2f}, {interval} |" in text
    assert "seed 2 after 300 steps, the best by its evaluations" in text
    assert "chosen by this number" in text
    assert "| `hidden_sizes` | `[12, 12]` |" in text
    assert f"jax {jax.__version__}" in text
    assert "hf upload your-name/sac-probe_environments-Drift-v0 . ." in text
    assert {file.name for file in tmp_path.iterdir()} >= {
        "README.md", "policy.py", "policy.npz", "learning_curve.png",
    }  # fmt: skip


def test_a_seed_that_was_added_has_the_versions_that_trained_it(tmp_path):
    run = saved(tmp_path / "run", returns=RETURNS[:1])
    more = RunDirectory(saved(run / "more-seeds" / "0001-0001", returns=RETURNS[:1], seed=1))
    facts = json.loads(more.manifest.read_text())
    more.manifest.write_text(json.dumps(facts | {"versions": {"jax": "9.9"}}))
    for seed, version in ((0, jax.__version__), (1, "9.9")):
        made = export_with_card(run, seed=seed, which="best")
        assert f"jax {version}" in made.card.read_text()


def test_of_a_point_of_a_sweep_its_own_curve_is_drawn(tmp_path, monkeypatch):
    swept = jaxsac.Hyperparameters(gamma=(0.9, 0.99))
    run = saved(tmp_path / "run", returns=(5.0, 9.0), seeds=1, hyperparameters=swept)
    drawn, figure = [], learning_curve.figure
    monkeypatch.setattr(
        learning_curve, "figure", lambda *args: drawn.append(figure(*args)) or drawn[0]
    )
    export_with_card(run, which="best", point=1)
    (axes,) = drawn[0].axes
    assert axes.get_title() == "probe_environments:Drift-v0, 1 seed"
    assert [line.get_ydata().tolist() for line in axes.lines] == [[0, 9]]


@pytest.mark.parametrize("format", ["numpy", "onnx", "stablehlo"])
@pytest.mark.parametrize("observation", [FLAT, NESTED], ids=["flat", "nested"])
def test_its_example_acts_as_the_policy_does(tmp_path, monkeypatch, format, observation):
    for package in {"onnx": ("onnx", "onnxruntime"), "stablehlo": ("flatbuffers",)}.get(format, ()):
        pytest.importorskip(package)
    directory = saved(tmp_path / "run", observation, RETURNS[:1])
    made = export_with_card(directory, format, which="best")
    hub = types.SimpleNamespace(
        snapshot_download=lambda repository: str(made.card.parent),
        hf_hub_download=lambda repository, file: str(made.card.parent / file),
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(sys.modules, "policy", None)  # so that what is imported does not stay
    del sys.modules["policy"]
    (code,) = re.findall(r"```python\n(.*?)```", made.card.read_text(), re.DOTALL)
    names = {}
    exec(code, names)
    policy = jaxsac.load_policy(directory, which="best")
    zeros = jax.tree.map(np.zeros_like, observations_of(policy, 1))
    np.testing.assert_allclose(np.reshape(names["action"], (1, 3)), policy(zeros), atol=1e-5)


def test_a_card_says_how_observations_are_stacked(run):
    facts = card._facts(run, Exported([run / "policy.py"], PARITY), "numpy", 0, "best", None)
    assert "as the environment returns them, and actions" in card_text._use(facts)
    facts.policy.frame_stack = 3
    said = "returns them, the latest 3 joined along the last axis of each array, the oldest first"
    assert said in card_text._use(facts)


def test_returns_of_small_rewards_have_their_digits(run):
    facts = card._facts(run, Exported([run / "policy.py"], PARITY), "numpy", 0, "best", None)
    small = facts._replace(
        own=OwnReturn(0.81234, 0.01, 3),
        seeds=facts.seeds._replace(
            final=Estimate(0.81234, 0.7912, 0.83), finals={0: 0.81234, 1: 0.79}
        ),
    )
    own, seeds = card_text._metrics(small)
    assert (own["value"], seeds["value"]) == ("0.812 +/- 0.010", 0.812)
    text = card_text._returns(small)
    assert "| 0.812 ± 0.010 |" in text
    assert "| 0.812, 95 % interval 0.791 to 0.830 |" in text
    assert "| seed 1, likewise | 0.790 |" in text


def test_the_newest_video_of_the_seed_is_copied_unless_one_is_given(run, tmp_path, capsys):
    (run / "videos").mkdir()
    for name in ("step-0000000100-seed-0-return-1.0.mp4", "step-0000000100-seed-1-return-1.0.mp4"):
        (run / "videos" / name).write_bytes(name.encode())
    given = tmp_path / "mine.gif"
    given.write_bytes(b"mine")
    command = ["export", str(run), "--which", "best", "--card", "--seed", "1"]
    assert commands.run([*command, "--output", str(tmp_path / "a" / "policy")]) == 0
    assert b"-seed-1-" in (tmp_path / "a" / "replay.mp4").read_bytes()
    assert '<video src="replay.mp4"' in (tmp_path / "a" / "README.md").read_text()
    output = ["--output", str(tmp_path / "b" / "policy")]
    assert commands.run([*command, *output, "--video", str(given)]) == 0
    assert (tmp_path / "b" / "replay.gif").read_bytes() == b"mine"
    assert "![replay](replay.gif)" in (tmp_path / "b" / "README.md").read_text()
    assert f"{tmp_path}/b/README.md, with {given}" in capsys.readouterr().out


def test_a_video_that_is_the_copy_already_stays(run, tmp_path):
    video = tmp_path / "replay.gif"
    video.write_bytes(b"mine")
    export_with_card(run, output=tmp_path / "policy", which="best", video=video)
    assert video.read_bytes() == b"mine"


def test_paths_from_home(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(run.parent))
    (run.parent / "mine.gif").write_bytes(b"mine")
    written = export_with_card(
        f"~/{run.name}", output="~/out/policy", which="best", video="~/mine.gif"
    )
    assert written.card == run.parent / "out" / "README.md"
    assert (run.parent / "out" / "replay.gif").read_bytes() == b"mine"


def test_a_run_without_returns_has_a_card_without_them(tmp_path):
    save(tmp_path / "run", [policy_of()], [5.0])
    made = export_with_card(tmp_path / "run", which="best")
    assert "model-index" not in front_matter_of(made.card)
    assert "None has been measured." in made.card.read_text()


def test_the_hub_reads_it(run, tmp_path):
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    made = export_with_card(run, output=tmp_path / "policy", which="best")
    card = hub.ModelCard.load(made.card)
    assert card.data.library_name == "jaxsac"
    assert [each.metric_type for each in card.data.eval_results] == ["mean_reward", "iqm_return"]
    assert card.data.eval_results[0].metric_value == "5.00 +/- 0.25"


# Refusals.


@pytest.mark.parametrize("name", ["README.md", "learning_curve.png", "replay.gif"])
def test_a_file_of_someone_else_in_the_default_folder_stays_alone(tmp_path, name):
    run = saved(tmp_path / "run", returns=RETURNS[:1])
    folder = run / "export" / "seed-0000"
    folder.mkdir(parents=True)
    (folder / name).write_text("mine")
    with pytest.raises(ValueError, match=f"{name} is there and belongs to no model card"):
        export_with_card(run, which="best")
    assert [file.name for file in folder.iterdir()] == [name]
    assert (folder / name).read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--card", "--video", "film.avi"], "film.avi must end in .mp4 or .gif"),
        (["--card", "--video", "film.mp4"], "there is no video film.mp4"),
        (["--video", "film.mp4"], "give --card too"),
        (["--card", "--output", "policy"], "README.md is there and belongs to no model"),
        (["--card", "--output", "of/half-cheetah.py"], "cannot import a program called 'half-c"),
        (["--card", "--output", "of/class"], "cannot import a program called 'class'"),
    ],
)
def test_a_refusal_is_one_line_and_leaves_all_as_it_was(
    run, tmp_path, monkeypatch, capsys, options, said
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("mine")
    assert commands.run(["export", str(run), "--which", "best", *options]) == 1
    assert said in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"
