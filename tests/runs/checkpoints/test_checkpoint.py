import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load, save

import jaxsac
from jaxsac.runs import files, upgrade
from jaxsac.runs.checkpoints import bundle, checkpoint
from jaxsac.runs.checkpoints.bundle import BundleError
from run_examples import NET, assert_identical


@pytest.fixture(scope="module")
def agent():
    """Two members whose every leaf is told apart, scalars and counters included."""
    state = jaxsac.init(jax.random.key(0), jnp.zeros(3), jnp.zeros(2), NET)
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda x: rng.integers(1, 99, (2, *x.shape)).astype(x.dtype) / x.dtype.type(1), state
    )


@pytest.fixture
def saved(agent, tmp_path):
    checkpoint.save(tmp_path, 40, [("agent", agent)], {"members": [3, 4]})
    return tmp_path


def template_of(agent):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), agent)


def forge(folder, content):
    """Replaces the tensors and the checksum with them."""
    (folder / "agent.safetensors").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["checksum"]
    manifest["sha256"]["agent.safetensors"] = hashlib.sha256(content).hexdigest()
    manifest["checksum"] = bundle._checksum(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_what_is_loaded_is_what_was_saved_bit_for_bit(agent, saved):
    assert_identical(checkpoint.load(saved, 40, "agent", template_of(agent)), agent)


def test_odd_numbers_survive(tmp_path):
    odd = {
        "numbers": np.array([[np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4e38]], np.float32),
        "scalar": np.array([7], np.int32),
        "empty": np.zeros((1, 0), np.float32),
    }
    checkpoint.save(tmp_path, 0, [("agent", odd)], {})
    loaded = checkpoint.load(tmp_path, 0, "agent", template_of(odd))
    assert {name: leaf.tobytes() for name, leaf in loaded.items()} == {
        name: leaf.tobytes() for name, leaf in odd.items()
    }


def test_the_manifest_tells_name_members_and_checksum(saved):
    manifest = json.loads((saved / "40" / "manifest.json").read_text())
    assert manifest["name"] == "40"
    assert manifest["members"] == [3, 4]
    assert manifest["schema"] == upgrade.FORMAT
    assert len(manifest["sha256"]["agent.safetensors"]) == 64


def test_saving_again_replaces_and_leaves_nothing_else(agent, saved):
    other = jax.tree.map(lambda x: x + x.dtype.type(1), agent)
    checkpoint.save(saved, 40, [("agent", other)], {})
    assert_identical(checkpoint.load(saved, 40, "agent", template_of(agent)), other)
    assert [f.name for f in saved.iterdir()] == ["40"]


def test_the_rest_of_a_save_that_was_killed_is_no_checkpoint(agent, saved):
    (saved / ".90.tmp").mkdir()
    (saved / ".90.tmp" / "agent.safetensors").write_bytes(b"half")
    assert checkpoint.latest(saved) == 40
    checkpoint.save(saved, 90, [("agent", agent)], {})
    assert checkpoint.latest(saved) == 90
    assert sorted(f.name for f in saved.iterdir()) == ["40", "90"]


def test_a_save_that_fails_leaves_the_checkpoint_before_it(agent, saved, monkeypatch):
    def fail(path):
        raise OSError("no space left on device")

    monkeypatch.setattr(files, "sync", fail)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(saved, 40, [("agent", jax.tree.map(np.zeros_like, agent))], {})
    assert_identical(checkpoint.load(saved, 40, "agent", template_of(agent)), agent)
    assert [f.name for f in saved.iterdir()] == ["40"]


def test_the_last_two_are_kept(agent, saved):
    for step in (50, 60, 70):
        checkpoint.save(saved, step, [("agent", agent)], {})
    assert checkpoint.steps(saved) == [60, 70]


def test_one_that_cannot_be_removed_costs_nothing_and_is_none_any_more(agent, saved, monkeypatch):
    def held_open(folder, ignore_errors=False):
        if not ignore_errors:
            raise OSError("Directory not empty")

    with monkeypatch.context() as patch:
        patch.setattr(bundle.shutil, "rmtree", held_open)
        for step in (50, 60):
            checkpoint.save(saved, step, [("agent", agent)], {})
        assert checkpoint.steps(saved) == [50, 60]
    checkpoint.save(saved, 70, [("agent", agent)], {})
    assert {file.name for file in saved.iterdir()} == {"60", "70"}


def test_any_change_to_a_manifest_is_noticed(agent, saved):
    file = saved / "40" / "manifest.json"
    content = file.read_bytes()
    checkpoint.verify(saved, 40)
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        file.write_bytes(changed)
        try:
            manifest = checkpoint.verify(saved, 40)
        except BundleError:
            continue
        assert manifest == json.loads(content), "only white space may differ"


def test_a_manifest_cannot_name_files_elsewhere(agent, saved):
    (saved / "secret").write_bytes(b"")
    manifest = json.loads((saved / "40" / "manifest.json").read_text())
    del manifest["checksum"]
    manifest["sha256"]["../secret"] = hashlib.sha256(b"").hexdigest()
    manifest["checksum"] = bundle._checksum(manifest)
    (saved / "40" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="outside its folder"):
        checkpoint.verify(saved, 40)


def test_the_latest_checkpoint_is_by_number_not_by_name(agent, saved):
    for step in (100, 9):
        checkpoint.save(saved, step, [("agent", agent)], {})
    assert checkpoint.latest(saved) == 100


@pytest.mark.parametrize("exists", [True, False])
def test_no_checkpoint_at_all_is_said(tmp_path, exists):
    folder = tmp_path if exists else tmp_path / "none"
    with pytest.raises(BundleError, match=r"holds no checkpoint: .* or they were removed"):
        checkpoint.latest(folder)


@pytest.mark.parametrize("name", ["agent.safetensors", "manifest.json"])
def test_a_missing_file_is_named(agent, saved, name):
    (saved / "40" / name).unlink()
    with pytest.raises(BundleError, match=name):
        checkpoint.load(saved, 40, "agent", template_of(agent))


def test_a_missing_step_is_named(agent, saved):
    with pytest.raises(BundleError, match="41"):
        checkpoint.load(saved, 41, "agent", template_of(agent))


@pytest.mark.parametrize("length", [0, 5, 100, -1])
@pytest.mark.parametrize("name", ["agent.safetensors", "manifest.json"])
def test_a_truncated_file_is_noticed(agent, saved, name, length):
    file = saved / "40" / name
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(BundleError, match=str(saved / "40")):
        checkpoint.load(saved, 40, "agent", template_of(agent))


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.9999])
def test_a_flipped_bit_is_noticed(agent, saved, place):
    file = saved / "40" / "agent.safetensors"
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match=r"agent\.safetensors is damaged"):
        checkpoint.load(saved, 40, "agent", template_of(agent))


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"\x80\x04K\x01."])
def test_what_is_not_safetensors_is_refused_even_with_a_matching_checksum(agent, saved, content):
    forge(saved / "40", content)
    with pytest.raises(BundleError, match=r"agent\.safetensors is damaged"):
        checkpoint.load(saved, 40, "agent", template_of(agent))


@pytest.mark.parametrize(
    "manifest", ["[]", "{}", "null", '{"sha256": null}', '{"sha256": {"agent.safetensors": 1}}']
)
def test_a_manifest_of_another_kind_is_refused(agent, saved, manifest):
    (saved / "40" / "manifest.json").write_text(manifest)
    with pytest.raises(BundleError, match="40"):
        checkpoint.load(saved, 40, "agent", template_of(agent))


@pytest.mark.parametrize(
    "change", [lambda x: x[:1], lambda x: x.astype(np.float64), lambda x: x[..., None]]
)
def test_a_leaf_of_another_shape_or_dtype_is_named(agent, saved, change):
    tensors = load((saved / "40" / "agent.safetensors").read_bytes())
    forge(
        saved / "40", save({**tensors, "temperature/params": change(tensors["temperature/params"])})
    )
    with pytest.raises(BundleError, match="temperature/params is"):
        checkpoint.load(saved, 40, "agent", template_of(agent))


def test_leaves_of_another_agent_are_named(agent, saved):
    tensors = load((saved / "40" / "agent.safetensors").read_bytes())
    alpha = tensors.pop("temperature/params")
    for content, name in (
        (tensors, "temperature/params"),
        ({**tensors, "temperature/beta": alpha}, "temperature/beta"),
    ):
        forge(saved / "40", save(content))
        with pytest.raises(BundleError, match=name):
            checkpoint.load(saved, 40, "agent", template_of(agent))
