"""Runs that older versions of jaxsac wrote: see tests/fixtures and `jaxsac.runs.upgrade`."""

import dataclasses
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsac
from jaxsac.runs import train, upgrade
from jaxsac.runs.checkpoints import bundle
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.directory.directory import RunDirectory, RunDirectoryError
from jaxsac.runs.metrics import learning_curve, metrics
from jaxsac.runs.policies import evaluation
from jaxsac.training import drivers
from run_examples import Listener

FIXTURES = Path(__file__).parents[1] / "fixtures"
OLD = [
    (version.name, name)
    for version in FIXTURES.iterdir()
    for name in json.loads((version / "answers.json").read_text())
]


@pytest.fixture(params=OLD, ids=["-".join(each) for each in OLD])
def old(request, tmp_path):
    """A run of an older version, to be used up, and what its policies answered then."""
    version, name = request.param
    shutil.copytree(FIXTURES / version / name, tmp_path / "run")
    answers = json.loads((FIXTURES / version / "answers.json").read_text())[name]
    return RunDirectory(tmp_path / "run"), answers


def check_answers(run, answers):
    """The policies answer as they did; the last digits may be another machine's."""
    config = run.config()
    for index, name in enumerate(config.member_names):
        point = index // config.seeds if len(config.points) > 1 else None
        acting = jaxsac.load_policy(run.path, config.member_seeds[index], point=point)
        for kind, key in (("mode", None), ("sample", 0)):
            expected = answers["members"][name][kind]
            np.testing.assert_allclose(acting(answers["observations"], key), expected, atol=1e-4)


def test_its_policies_answer_as_they_did(old):
    check_answers(*old)


def test_its_policies_need_its_environment_for_the_spaces_and_say_so(old, monkeypatch):
    run, _ = old

    def fail(*arguments):
        raise ModuleNotFoundError("no simulator here")

    monkeypatch.setattr(drivers, "make_driver", fail)
    with pytest.raises(RunDirectoryError, match=r"cannot be made here .no simulator here.: load"):
        jaxsac.load_policy(run.path, seed=run.config().seed, point=0)


def test_its_report_is_drawn(old):
    run, _ = old
    assert learning_curve.write(run).stat().st_size > 5_000


def test_it_is_evaluated(old):
    run, _ = old
    config, found = run.config(), evaluation.evaluate_run(run.path, "latest", 2)
    assert {member.step for member in found.members} == {config.steps}
    last = [metrics.read(metrics.path(run.metrics, name))[-1] for name in config.member_names]
    expected = [row["eval_return"] for row in last]
    if config.eval_episodes == 2:
        np.testing.assert_allclose(found.deterministic.mean(axis=1), expected, rtol=1e-3)


def test_it_is_complete_and_that_is_all_that_is_done(old):
    run, _ = old
    before = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}
    listener = Listener()
    assert train.train(run.config(), run.path, listener)
    assert "complete" in listener.messages[0]
    files = [file for file in run.path.rglob("*") if file.is_file() and file.name != ".lock"]
    assert {file: file.read_bytes() for file in files} == before


def test_it_is_not_resumed_says_which_version_does_it_and_is_left_alone(old):
    run, _ = old
    config = run.config()
    before = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}
    longer = dataclasses.replace(config, steps=config.steps + 2 * config.log_every)
    with pytest.raises(BundleError, match=r"was written by jaxsac 0\.1, which alone resumes it;"):
        train.train(longer, run.path, Listener())
    assert {file: file.read_bytes() for file in before} == before


# How tensors of older versions are found.


def write_as(folder, written, parts):
    """A bundle with the number of an older format."""
    bundle.write(folder, parts.items(), {})
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["checksum"]
    manifest["schema"] = written
    manifest["checksum"] = bundle._checksum(manifest)
    file.write_text(json.dumps(manifest))


def structs(tree):
    return jax.eval_shape(lambda: jax.tree.map(jnp.asarray, tree))


def test_tensors_of_an_older_version_are_found_by_their_names_then(tmp_path):
    a, b = np.random.default_rng(0).normal(size=(2, 2, 3)).astype(np.float32)
    old = {"actor_params": {"w": a}, "log_alpha": b[:, 0], "step": np.ones(2, np.int32)}
    new = {"actor": {"params": {"w": a}}, "temperature": {"params": b[:, 0]}, "step": old["step"]}
    write_as(tmp_path / "7", 2, {"agent": old, "failure": {"agent": old}})
    for part, wanted in (("agent", new), ("failure", {"agent": new})):
        found = bundle.load(tmp_path / "7", part, structs(wanted))
        jax.tree.map(np.testing.assert_array_equal, found, wanted)
    second = bundle.load(tmp_path / "7", "agent", structs({"actor": new["actor"]}), 1, True)
    np.testing.assert_array_equal(second["actor"]["params"]["w"], a[1])


def test_hyperparameters_that_there_were_none_of_have_done_what_their_defaults_do(tmp_path):
    gamma, added = np.array([0.5, 0.6], np.float32), np.zeros(2, np.float32)
    bundle.write(tmp_path / "7", [("agent", {"hyperparameters": {"gamma": gamma}})], {})
    names = [name.partition("/")[2] for name in upgrade.ADDED if name.startswith("hyper")]
    wanted = {"hyperparameters": {"gamma": gamma, **dict.fromkeys(names, added)}}
    found = bundle.load(tmp_path / "7", "agent", structs(wanted))["hyperparameters"]
    np.testing.assert_array_equal(found["gamma"], gamma)
    for name in names:
        default = np.float32(getattr(jaxsac.Hyperparameters(), name))
        np.testing.assert_array_equal(found[name], [default, default])


def test_a_checkpoint_from_before_actors_were_counted_goes_on_with_none_counted(tmp_path):
    seen = {"updates": np.array([3, 3], np.int32)}
    bundle.write(tmp_path / "7", [("learning", {"metrics": seen})], {})
    wanted = {"metrics": {**seen, "actor_updates": seen["updates"]}}
    found = bundle.load(tmp_path / "7", "learning", structs(wanted))["metrics"]
    np.testing.assert_array_equal(found["actor_updates"], [0, 0])


def test_of_todays_bundles_every_name_must_be_todays(tmp_path):
    bundle.write(tmp_path / "7", [("agent", {"actor_params": np.ones(2)})], {})
    with pytest.raises(BundleError, match=r"differ: \['actor/params', 'actor_params'\]"):
        bundle.load(tmp_path / "7", "agent", structs({"actor": {"params": np.ones(2, np.float32)}}))


@pytest.mark.parametrize("written", [1, upgrade.FORMAT + 1, "3", None, True])
def test_a_bundle_of_a_format_that_is_not_known_is_refused(tmp_path, written):
    write_as(tmp_path / "7", written, {"agent": {"x": np.ones(2)}})
    with pytest.raises(BundleError, match=r"of schema .*A newer version of jaxsac may"):
        bundle.verify(tmp_path / "7")


def test_names_go_back_through_every_format_between(monkeypatch):
    monkeypatch.setattr(upgrade, "FORMAT", 4)
    monkeypatch.setitem(upgrade.MOVED, 2, {"y": "x"})
    monkeypatch.setitem(upgrade.MOVED, 3, {"z": "y"})
    names = [upgrade.tensor_name("z/0", written) for written in (2, 3, 4)]
    assert names == ["x/0", "y/0", "z/0"]
    assert upgrade.tensor_name("zz", 2) == "zz"
    assert upgrade.tensor_name("agent/z", 2) == "agent/x"
