"""Whatever lies in a run directory, it is read or refused with an error that names it."""

import functools
import hashlib
import json
import os
import pickle
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxsac.runs import train
from jaxsac.runs.checkpoints import bundle
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.directory.directory import RunDirectory, RunDirectoryError
from jaxsac.runs.metrics import metrics
from jaxsac.runs.settings.config import RunConfig
from run_examples import Listener, small_run

sys.path.append(str(Path(__file__).parents[3] / "experiments" / "faults"))
import corruptions

TREE = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(7, np.int32)}
TEMPLATE = jax.eval_shape(lambda: TREE)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def read_or_refuse(error, name, read):
    """What is read; None if it is refused by name. Any other error is one too many."""
    try:
        return read()
    except error as refusal:
        if name not in str(refusal):
            raise
        return None


shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@shared_folder
@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_as_the_manifest_of_a_run(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(RunDirectoryError, match=r"manifest\.json"):
        RunDirectory(tmp_path).config()


FIELDS = sorted(small_run().to_json())


@shared_folder
@given(st.sampled_from(FIELDS), JSON)
def test_any_value_of_a_field_in_the_manifest_of_a_run(tmp_path, field, value):
    content = {"config": {**small_run().to_json(), field: value}}
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    config = read_or_refuse(RunDirectoryError, "manifest.json", RunDirectory(tmp_path).config)
    assert config is None or RunConfig.from_json(config.to_json()) == config


@shared_folder
@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_as_the_manifest_of_a_bundle(tmp_path, content):
    bundle.write(tmp_path / "b", [("part", TREE)], {})
    (tmp_path / "b" / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        bundle.load(tmp_path / "b", "part", TEMPLATE)


@shared_folder
@given(st.data())
def test_any_bytes_as_tensors_even_with_a_checksum_that_fits(tmp_path, data):
    bundle.write(tmp_path / "b", [("part", TREE)], {})
    file = tmp_path / "b" / "part.safetensors"
    content = bytearray(file.read_bytes())
    if data.draw(st.booleans()):
        content = bytearray(data.draw(st.binary(max_size=200)))
    for _ in range(data.draw(st.integers(1, 4))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    forge(file, bytes(content))
    load = functools.partial(bundle.load, tmp_path / "b", "part", TEMPLATE)
    loaded = read_or_refuse(BundleError, "part.safetensors", load)
    # Other numbers in the right places: nothing but a checksum could tell.
    assert loaded is None or jax.eval_shape(lambda: loaded) == TEMPLATE


def forge(file, content):
    """Replaces a file of a bundle and mends all checksums."""
    file.write_bytes(content)
    manifest = json.loads((file.parent / "manifest.json").read_text())
    del manifest["checksum"]
    manifest["sha256"][file.name] = hashlib.sha256(content).hexdigest()
    manifest["checksum"] = bundle._checksum(manifest)
    (file.parent / "manifest.json").write_text(json.dumps(manifest))


def test_an_absurd_shape_is_refused_without_allocating(tmp_path):
    bundle.write(tmp_path / "b", [("part", TREE)], {})
    file = tmp_path / "b" / "part.safetensors"
    header = json.dumps(
        {"a": {"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 2**62]}}
    ).encode()
    for length in (len(header), 2**62):
        forge(file, length.to_bytes(8, "little") + header)
        with pytest.raises(BundleError, match=r"part\.safetensors"):
            bundle.load(tmp_path / "b", "part", TEMPLATE)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("bomb",)


def test_a_pickle_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bundle.write(tmp_path / "b", [("part", TREE)], {})
    forge(tmp_path / "b" / "part.safetensors", pickle.dumps(Bomb()))
    with pytest.raises(BundleError, match=r"part\.safetensors"):
        bundle.load(tmp_path / "b", "part", TEMPLATE)
    (tmp_path / "b" / "manifest.json").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(BundleError, match=r"manifest\.json"):
        bundle.verify(tmp_path / "b")
    assert not (tmp_path / "bomb").exists()


def test_a_manifest_without_end_is_not_read_to_its_end(tmp_path):
    for folder in (tmp_path / "run", tmp_path / "b"):
        folder.mkdir()
        (folder / "manifest.json").symlink_to("/dev/zero")
    with pytest.raises(RunDirectoryError, match="symbolic link"):
        RunDirectory(tmp_path / "run").config()
    with pytest.raises(BundleError, match="symbolic link"):
        bundle.verify(tmp_path / "b")
    (tmp_path / "run" / "manifest.json").unlink()
    with (tmp_path / "run" / "manifest.json").open("wb") as file:
        file.truncate(2**33)
    with pytest.raises(RunDirectoryError, match="longer than"):
        RunDirectory(tmp_path / "run").config()


@shared_folder
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_as_metrics(tmp_path, content, with_columns):
    file = tmp_path / "seed-0000.csv"
    file.write_bytes((",".join(metrics.RUN_COLUMNS) + "\n").encode() * with_columns + content)
    rows = read_or_refuse(ValueError, str(file), lambda: metrics.read(file))
    assert all(set(row) >= set(metrics.RUN_COLUMNS) for row in rows or [])


class Quiet(Listener):
    """An observer that ends a run as soon as it has said from where it resumes."""

    def started(self, step, seconds):
        raise InterruptedError


@pytest.fixture(scope="module")
def saved_run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("saved") / "run"
    assert train.train(small_run(), directory, Listener())
    manifest = directory / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"finished": true', '"finished": false'))
    return directory / "checkpoints" / "60" / "manifest.json"


def paths_in(value, path=()):
    """Every place in nested JSON values."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths_in(inner, (*path, key))


@settings(shared_folder, max_examples=60)
@given(st.data())
def test_any_fact_in_a_checkpoint_even_with_a_checksum_that_fits(saved_run, data):
    manifest = json.loads(saved_run.read_text())
    places = [path for path in paths_in(manifest) if path and path[0] not in ("sha256", "checksum")]
    # Refused by name, or as good as what it was.
    with pytest.raises((BundleError, InterruptedError)) as end:
        resume_with(saved_run, data.draw(st.sampled_from(places)), data.draw(JSON))
    assert end.type is InterruptedError or str(saved_run.parent) in str(end.value)


def test_a_negative_seed_in_a_checkpoint(saved_run):
    with pytest.raises(BundleError, match="a saved seed is -1"):
        resume_with(saved_run, ("environments", "logs", 1, "seed"), -1)


def resume_with(saved_run, path, fact):
    """Goes on with a run in whose checkpoint one fact is another, with a checksum that fits."""
    original = saved_run.read_text()
    manifest = json.loads(original)
    del manifest["checksum"]
    *outer, last = path
    functools.reduce(lambda value, key: value[key], outer, manifest)[last] = fact
    try:
        manifest["checksum"] = bundle._checksum(manifest)
        saved_run.write_text(json.dumps(manifest))
        train.train(small_run(), saved_run.parents[2], Quiet())
    finally:
        saved_run.write_text(original)


def test_no_damaged_checkpoint_is_taken():
    seen = corruptions.run(cases=2 * len(corruptions.DAMAGES))
    assert {name: dict(count) for name, count in seen.items()} == {
        damage.__name__: {"refused": 2} for damage in corruptions.DAMAGES
    }
