"""A run's replay as a data set: what is written is what is read back, bit for bit."""

import jax
import numpy as np
import pytest

from jaxsac.cli import commands
from jaxsac.data import datasets, packing
from jaxsac.runs import data_files, record, train
from jaxsac.runs.checkpoints import checkpoint
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.directory.directory import RunDirectory, RunDirectoryError
from jaxsac.runs.policies.load import spaces_of
from jaxsac.training import seed_axis
from jaxsac.training.drivers import make_driver
from jaxsac.training.prior_data import PriorData
from jaxsac.types import Spec, transition_of
from run_examples import FLAT, Listener, small_run

RUNS = {
    # Dicts, tuples and pixels; two environments side by side; a ring that has gone round.
    "nested": {
        "env": "probe_environments:Scripted-v0",
        "agent": FLAT,
        "num_envs": 2,
        "replay_capacity": 30,
    },
    # Bounds that no float divides without a rest; the latest 25 of 60 steps, episodes of ten.
    "asymmetric": {
        "env": "probe_environments:DriftOnGridAsymmetric-v0",
        "seeds": 1,
        "replay_capacity": 25,
    },
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    made = {}
    for name, changes in RUNS.items():
        made[name] = tmp_path_factory.mktemp(name) / "run"
        assert train.train(small_run(**changes), made[name], Listener())
    return made


def replay_of(directory):
    """The rows of all members, in any order, as they are in the checkpoint."""
    run = RunDirectory(directory)
    config, spaces = run.config(), spaces_of(run)
    spec = Spec.of(transition_of(spaces.observation, spaces.action))
    step = checkpoint.latest(run.checkpoints)
    facts = checkpoint.verify(run.checkpoints, step)
    found = []
    for name, size in zip(config.member_names, facts["replay_sizes"], strict=True):
        structs = {
            dtype: jax.ShapeDtypeStruct((size, width), dtype)
            for dtype, width in packing.widths(spec).items()
        }
        found.append(checkpoint.load(run.checkpoints, step, f"replay-{name}", structs))
    return in_order(jax.tree.map(lambda *x: np.concatenate(x), *found))


def in_order(packed):
    rows = np.concatenate(
        [np.ascontiguousarray(x).view(np.uint8) for _, x in sorted(packed.items())], axis=1
    )
    return sorted(row.tobytes() for row in rows)


def read_back(directory, source):
    config = RunDirectory(directory).config()
    config = small_run(env=config.env, prior_data=source)
    made = make_driver(config.to_population(), seed_axis.axis(config.population))
    prior = PriorData(config.to_population(), made)
    made.close()
    spec = Spec.of(transition_of(made.observation, made.action))
    return prior, in_order(packing.pack(spec, prior.steps, np))


@pytest.mark.parametrize("name", RUNS)
def test_every_transition_comes_back_as_it_is_in_replay(runs, tmp_path, name):
    made = record.record(runs[name], str(tmp_path / "data.npz"))
    prior, rows = read_back(runs[name], made.source)
    assert rows == replay_of(runs[name])
    assert made.rows == len(rows)
    assert prior.over.sum() == made.episodes


def test_episodes_come_back_whole(runs, tmp_path):
    # Of two seeds, in two environments each, of which replay holds the last 15 steps.
    made = record.record(runs["nested"], str(tmp_path / "data.npz"))
    with np.load(made.source) as file:
        ends = np.flatnonzero(file["terminated"] | file["truncated"])
        assert not (file["terminated"] & file["truncated"]).any()
    lengths = np.diff([-1, *ends])
    assert lengths.max() <= 7, "the time limit"
    assert lengths.sum() == made.rows == 60
    one = record.record(runs["nested"], str(tmp_path / "one.npz"), seed=1)
    assert one.rows == 30


@pytest.mark.filterwarnings("error")
def test_a_data_set_of_minari_is_the_same(runs, tmp_path, monkeypatch):
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    for name, directory in runs.items():
        made = record.record(directory, form="minari")
        assert made.source.startswith("minari:jaxsac/probe_environments-")
        plain = record.record(directory, str(tmp_path / f"{name}.npz"))
        of_minari, rows = read_back(directory, made.source)
        of_file, expected = read_back(directory, plain.source)
        assert rows == expected
        assert of_minari.sha256 == of_file.sha256
        with pytest.raises(ValueError, match="already exists"):
            record.record(directory, form="minari")


def test_what_cannot_be_recorded_is_refused(runs, tmp_path):
    with pytest.raises(RunDirectoryError, match="not a run directory"):
        record.record(tmp_path / "nothing")
    with pytest.raises(ValueError, match="has no seed 9"):
        record.record(runs["nested"], str(tmp_path / "x.npz"), seed=9)
    with pytest.raises(ValueError, match=r"x.csv: give a file whose name ends in \.npz"):
        record.record(runs["nested"], str(tmp_path / "x.csv"))
    (tmp_path / "there.npz").write_text("mine")
    with pytest.raises(ValueError, match=r"there.npz exists"):
        record.record(runs["nested"], str(tmp_path / "there.npz"))
    assert (tmp_path / "there.npz").read_text() == "mine"
    small = {"seeds": 1, "steps": 21}
    for name, changes, said in (
        ("returns", {"n_step": 3}, "returns of n_step 3 steps"),
        ("without", {"keep_replay": False}, "without its replay"),
    ):
        assert train.train(small_run(**small, **changes), tmp_path / name, Listener())
        with pytest.raises((RunDirectoryError, BundleError), match=said):
            record.record(tmp_path / name)


def test_the_arrays_are_those_that_are_read(runs, tmp_path):
    made = record.record(runs["asymmetric"], str(tmp_path / "data.npz"))
    with np.load(made.source) as file:
        assert set(file.files) == {
            "observation", "action", "reward", "terminated", "truncated", "next_observation",
        }  # fmt: skip
        low, high = -1.0, np.float32(7 / 3)
        assert low <= file["action"].min() < file["action"].max() <= high
    over = datasets.read(made.source, jax.ShapeDtypeStruct((2,), np.float32)).over
    np.testing.assert_array_equal(np.flatnonzero(over), [4, 14, 24])


def test_ids_of_minari_have_no_character_that_it_refuses():
    assert data_files.minari_id("jaxsac", "mjx:Ant-v4", "run.1") == "jaxsac/mjx-Ant-v4/run_1-v0"


def test_the_command_writes_it_and_says_how_to_learn_from_it(runs, tmp_path, capsys):
    output = str(tmp_path / "data.npz")
    command = ["record", "--run-dir", str(runs["asymmetric"]), "--output", output]
    assert commands.run(command) == 0
    printed = capsys.readouterr().out
    assert "recorded: 25 transitions in 3 episodes" in printed
    assert f"--prior-data {output}" in printed
    assert commands.run(command) == 1
    assert "exists: move it away" in capsys.readouterr().err
    assert commands.run(["record", str(tmp_path)]) == 1
    assert "Traceback" not in capsys.readouterr().err
