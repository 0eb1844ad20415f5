"""Runs looked into, from end to end."""

import json
import re
import shutil
from pathlib import Path

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsac
from jaxsac.cli import commands
from jaxsac.inspection import curves, page
from jaxsac.inspection.inspect import TITLES
from jaxsac.inspection.read import from_json, read
from jaxsac.inspection.write import _lines, to_json, write
from jaxsac.runs import train
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.directory.directory import RunDirectory
from run_examples import LOOP, Listener, small_run

FIXTURES = Path(__file__).parents[1] / "fixtures" / "v0.1"
ERROR = 3.0
"""What `KnownCritic` says too much."""


class KnownCritic(nn.Module):
    """Q of `TwoState` where it pays for ever, with γ = 0.9; and an error on top."""

    @nn.compact
    def __call__(self, observation, action):
        error = self.param("error", nn.initializers.constant(ERROR), ())
        return jnp.tile(9 * observation[:, 0] + 10 * observation[:, 1] + error, (2, 1))


def trained(directory, **changes):
    assert train.train(small_run(**changes), directory, Listener())
    return directory


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("inspected") / "run")


@pytest.fixture(scope="module")
def found(run):
    return jaxsac.inspect(run)


@pytest.fixture
def unwritten(monkeypatch):
    """Inspections have their numbers alone: their figures are drawn by other tests."""
    monkeypatch.setattr("jaxsac.inspection.write.write", lambda inspection: None)


def checks(section):
    return {check.name: check for check in section.checks}


def test_every_subject_of_every_seed_has_numbers_and_what_good_looks_like(found):
    assert [member.label for member in found.members] == ["0", "1"]
    for member in found.members:
        assert member.step == 60
        assert list(member.sections) == list(TITLES)
        for section in member.sections.values():
            assert section.checks
            assert not section.left_out
            assert all(check.good.endswith(".") for check in section.checks)


def test_the_numbers_are_those_of_replay_and_metrics(found, run):
    member = found.members[1]
    replay = member.sections["replay"].numbers
    # One environment's 60 transitions; Drift is never over, and pays less than nothing.
    assert (replay["transitions"], replay["capacity"], replay["terminated"]) == (60, 200, 0)
    assert replay["reward"]["max"][0] < 0
    (ranges,) = replay["observations"].values()
    assert np.all(np.abs([ranges["min"], ranges["max"]]) <= 1)
    rows = jaxsac.Run(run).metrics
    entropy = rows["entropy"][(rows["seed"] == 1) & np.isfinite(rows["entropy"])]
    curve = member.sections["entropy"].numbers["entropy"]
    np.testing.assert_array_equal(curve[np.isfinite(curve)], entropy)


def test_the_terms_of_the_gradient_are_those_of_the_agent(found):
    numbers = found.members[0].sections["gradient_terms"].numbers
    # Its mean is zero: over 16 keys a quarter of one estimate is left of it.
    score = numbers["score"]
    assert 0 < score["norm_of_mean"] < 0.5 * score["norm"]
    np.testing.assert_allclose(
        numbers["total_over_path"], numbers["total"]["variance"] / numbers["path"]["variance"]
    )
    for term in numbers.values():
        if isinstance(term, dict):
            assert term["norm"] ** 2 < term["norm_of_mean"] ** 2 + term["variance"] + 1e-12


def test_the_files_need_nothing_but_themselves(found):
    text = (found.directory / "inspect.html").read_text()
    assert found.directory.name == "inspect"
    assert not any(tag in text for tag in ("<script", "<link", "<img", "<image", "@import"))
    assert text.count("<svg") == len(TITLES) == len(list(found.directory.glob("*.png")))
    written = json.loads((found.directory / "inspect.json").read_text())
    assert [member["label"] for member in written["members"]] == ["0", "1"]
    assert written["members"][0]["sections"]["replay"]["numbers"]["transitions"] == 60


def test_the_page_is_made_again_from_the_numbers_alone(found, tmp_path):
    again = read(found.directory / "inspect.json")
    write(again._replace(directory=tmp_path / "again"))
    for name in ("inspect.json", "inspect.html", "values.png"):
        file = found.directory / name
        assert (tmp_path / "again" / name).read_bytes() == file.read_bytes()
    kept, computed = (x.members[1].sections["values"].numbers for x in (again, found))
    np.testing.assert_allclose(kept["soft_return"], computed["soft_return"], rtol=1e-6)
    assert again.directory == found.directory


@pytest.mark.parametrize(("seeds", "order"), [(4, "0123 good"), (5, "good 01234")])
def test_of_many_seeds_what_is_good_stands_before_them(seeds, order):
    names = list(map(str, range(seeds)))
    found = page._table(["", "good", *names], [["α", "Settled.", *names]])
    heads = re.findall(r"<th.*?>(.*?)</th>", found)
    assert "".join(f" {x} " if x == "good" else x for x in heads).strip() == order
    assert "<td>Settled.</td>" in found  # set left, the seeds right


def test_a_file_that_is_no_inspection_is_refused_by_its_name(tmp_path):
    file = tmp_path / "inspect.json"
    for content in ("{", "{}", "[]", '{"members": 3}'):
        file.write_text(content)
        with pytest.raises(ValueError, match=r"inspect\.json cannot be read: give the inspect"):
            read(file)


def test_a_list_of_numbers_takes_a_line_and_text_stays_as_it_is():
    found = {"good": "in [-1,   1].", "numbers": [[1.0, None], []], "of": ["[a", "b]"]}
    text = _lines(found)
    assert json.loads(text) == found
    assert "[1.0,null]" in text


@pytest.mark.usefixtures("unwritten")
def test_a_critic_that_is_wrong_by_a_known_amount_is_found_out(tmp_path):
    trained(
        tmp_path / "run", env="probe_environments:TwoStateLimit-v0", seeds=1,
        critic="test_inspect:KnownCritic",
        hyperparameters=jaxsac.Hyperparameters(
            gamma=0.9, critic_lr=1e-12, alpha_lr=0.0, initial_alpha=1e-8
        ),
    )  # fmt: skip
    (member,) = jaxsac.inspect(tmp_path / "run", output=tmp_path / "out").members
    numbers = member.sections["values"].numbers
    # The returns of five steps go on with the critic at the limit, and so hide a part of its error.
    hidden = 0.9 ** np.arange(5, 0, -1.0)
    gaps = (numbers["q_min"] - numbers["soft_return"]).reshape(3, 5)
    np.testing.assert_allclose(gaps, ERROR * np.tile(1 - hidden, (3, 1)), rtol=1e-4)
    np.testing.assert_allclose(numbers["gap"], ERROR * np.mean(1 - hidden), rtol=1e-4)
    features = member.sections["features"]
    assert any(line.startswith("the critics: networks of your own") for line in features.left_out)
    assert "actor" in features.numbers
    assert "critic" not in features.numbers


def test_without_replay_what_needs_it_is_left_out_and_said(tmp_path):
    trained(tmp_path / "run", keep_replay=False)
    (member,) = jaxsac.inspect(tmp_path / "run", seeds=1).members
    for subject in ("gradient_terms", "features", "replay"):
        (line,) = member.sections[subject].left_out
        assert "without its replay" in line
    assert "gap" in member.sections["values"].numbers
    # The policy's actions are then those of its episodes.
    shown = member.sections["saturation"].numbers
    assert "replay" not in shown
    assert len(shown["policy"]["share"]) == 2


@pytest.mark.usefixtures("unwritten")
def test_the_best_policy_has_no_critics_to_look_into(tmp_path):
    trained(tmp_path / "run", eval_every=30)
    (member,) = jaxsac.inspect(tmp_path / "run", 0, "best").members
    for subject in ("values", "gradient_terms"):
        (line,) = member.sections[subject].left_out
        assert "without its critics" in line
    assert set(member.sections["features"].numbers) == {"actor"}


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize("broken", ["make", "play"])
def test_without_its_environment_all_else_is_shown(run, tmp_path, monkeypatch, broken):
    def fail(*args):
        raise ValueError("there is no simulator.")

    monkeypatch.setattr(f"jaxsac.inspection.episodes.{broken}", fail)
    (member,) = jaxsac.inspect(run, 0, output=tmp_path).members
    (line,) = member.sections["values"].left_out
    assert "there is no simulator." in line
    assert all(section.numbers for name, section in member.sections.items() if name != "values")


@pytest.mark.usefixtures("unwritten")
def test_an_inspection_stays_in_one_place_whoever_changes_the_working_folder(
    run, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(run.parent))
    monkeypatch.chdir(tmp_path)
    found = jaxsac.inspect("~/run", np.int64(0), output="out", episodes=0)
    assert (found.run, found.directory) == (run, tmp_path / "out")


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize("name", ["value_network", "pendulum_jax"])
def test_runs_of_older_versions_in_jax_and_with_value_networks(name, tmp_path):
    found = jaxsac.inspect(FIXTURES / name, seeds=0, output=tmp_path, episodes=1)
    assert len(found.members) == (2 if name == "pendulum_jax" else 1)  # points of a sweep
    for member in found.members:
        assert "gap" in member.sections["values"].numbers
        assert "critic" in member.sections["features"].numbers
        # Their metrics lack it: it is the agent's.
        assert set(member.sections["entropy"].numbers["target_entropy"]) == {-1.0}


@pytest.mark.usefixtures("unwritten")
def test_a_member_has_the_settings_of_its_point_and_the_metrics_up_to_its_checkpoint(tmp_path):
    run = Path(shutil.copytree(FIXTURES / "pendulum_jax", tmp_path / "run"))
    manifest = run / "manifest.json"
    fixed = manifest.read_text().replace('"alpha_lr": 0.0003', '"alpha_lr": [0.0, 0.0003]')
    manifest.write_text(fixed)
    for file in (run / "metrics").iterdir():
        lines = file.read_text().splitlines()
        file.write_text("\n".join([*lines, lines[-1].replace("160,", "1000,", 1)]) + "\n")
    inspection = jaxsac.inspect(run, 0, 160, episodes=0)
    found = inspection.members
    again = from_json(to_json(inspection), tmp_path).members
    for members in (found, again):
        assert [member.heading for member in members] == [
            "point 0, seed 0 (actor_lr=1e-4 alpha_lr=0)",
            "point 1, seed 0 (actor_lr=1e-3 alpha_lr=3e-4)",
        ]
    assert [bool(member.sections["entropy"].notes) for member in found] == [True, False]
    assert {member.sections["entropy"].numbers["step"][-1] for member in found} == {160}
    latest = curves.read(RunDirectory(run), "point-000-seed-0000")
    assert latest["step"][-1] == 1000


VARIANTS = {
    "quantiles": {"agent": jaxsac.Config(
        hidden_sizes=(8,), head="quantile", target_pessimism="truncated", num_quantiles=5,
        activation="silu",
    )},
    "categories": {"agent": jaxsac.Config(
        hidden_sizes=(8, 8), head="categorical", body="inverted_residual", normalization="batch",
        forward="joint", actor_forward="joint",
    ), "normalize_observations": True, **LOOP},
    "images": {"env": "probe_environments:Scripted-v0"},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_variants_are_looked_into_too(name, tmp_path):
    found = jaxsac.inspect(trained(tmp_path / "run", **VARIANTS[name]), 0, episodes=1)
    (member,) = found.members
    assert np.isfinite(member.sections["values"].numbers["gap"])
    left_out = " ".join(member.sections["features"].left_out)
    assert ("dead units" in left_out) == (name == "quantiles")
    assert ("encoder" in left_out) == (name == "images")
    assert "critic" in member.sections["features"].numbers


def test_the_terminal_shows_a_table_and_where_the_page_is(run, tmp_path, capsys):
    output = tmp_path / "out"
    arguments = ["inspect", str(run), "--seed", "1", "--episodes", "0", "--output", str(output)]
    assert commands.run(arguments) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "seed 1" in printed
    assert "seed 0" not in printed
    assert "Replay" in printed
    assert "60 of 200" in printed
    assert "left out" in printed  # Q against returns, without episodes
    assert f"page: {output}/inspect.html" in printed
    assert (output / "inspect.html").exists()
    assert commands.parse(["inspect", str(run), "--seed", "0,1"]).seed == (0, 1)


def test_what_cannot_be_looked_into_is_refused_in_a_sentence(run, tmp_path, capsys):
    with pytest.raises(ValueError, match="has no seed 7"):
        jaxsac.inspect(run, seeds=7)
    with pytest.raises(ValueError, match=r"seeds is \[\]: name one at least"):
        jaxsac.inspect(run, seeds=[])
    with pytest.raises(ValueError, match="seed must be a whole number, got '0'"):
        jaxsac.inspect(run, seeds="0")
    with pytest.raises(ValueError, match="episodes must be a whole number, got '2'"):
        jaxsac.inspect(run, episodes="2")
    with pytest.raises(ValueError, match="episodes must not be negative, got -1"):
        jaxsac.inspect(run, episodes=-1)
    with pytest.raises(BundleError, match="no best policy"):
        jaxsac.inspect(run, which="best")
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ValueError, match="is a file"):
        jaxsac.inspect(run, output=file)
    assert commands.run(["inspect", str(tmp_path / "nothing")]) == 1
    assert capsys.readouterr().err.startswith("jaxsac: ")
