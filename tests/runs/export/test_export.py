"""What was exported acts as the policy does, inside what it is for, and is refused otherwise."""

import dataclasses
import functools
import importlib.util
import itertools
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import jaxsac
from jaxsac.cli import commands
from jaxsac.envs.action_map import ActionMap
from jaxsac.runs.export import export, numpy_format, parity
from jaxsac.runs.run import Run
from saved_policies import FLAT, NESTED, observations_of, policy_of, save

FACTS = {"env": "Robot-v0", "seed": 3, "step": 1000, "parity": None}
HALF = jax.ShapeDtypeStruct((5,), np.float16)
NEEDS = {"numpy": (), "onnx": ("onnx", "onnxruntime"), "stablehlo": ("flatbuffers",)}
BODIES = ("mlp", "residual", "inverted_residual")
NORMALIZATIONS = ("none", "layer", "batch", "batch_renorm")
ACTIVATIONS = ("relu", "tanh", "silu", "gelu", "elu")
EACH = list(itertools.product(BODIES, NORMALIZATIONS))


class Own(nn.Module):
    """An actor of one's own."""

    @nn.compact
    def __call__(self, observation):
        mean = nn.Dense(3)(observation)
        return mean, -1 + 0 * mean


def exported(policy, format):
    for package in NEEDS[format]:
        pytest.importorskip(package)
    kind = importlib.import_module(f"jaxsac.runs.export.{format}_format")
    return kind.decode(kind.encode(policy, FACTS))


@functools.cache
def asked(**choices):
    """A policy of such choices, observations, and how it acts on them; for all formats."""
    policy = policy_of(**choices)
    observations = observations_of(policy)
    with jax.disable_jit():  # nothing is worth compiling for a single call
        return policy, observations, policy(observations)


@pytest.mark.parametrize("format", ["numpy", "onnx"])
@pytest.mark.parametrize("number", range(len(EACH)), ids=["-".join(each) for each in EACH])
def test_every_body_and_normalization_acts_alike(number, format):
    body, normalization = EACH[number]
    policy, observations, expected = asked(
        body=body, normalization=normalization, activation=ACTIVATIONS[number % 5]
    )
    np.testing.assert_allclose(exported(policy, format)(observations), expected, atol=3e-6)


@pytest.mark.parametrize("format", ["numpy", "onnx"])
@pytest.mark.parametrize("normalization", ["layer", "batch"])
def test_other_choices_of_an_actor_act_alike(format, normalization):
    policy, observations, expected = asked(
        normalization=normalization, normalization_position="after", normalize_inputs=True,
        hidden_biases=False, activation="tanh", body="residual",
    )  # fmt: skip
    np.testing.assert_allclose(exported(policy, format)(observations), expected, atol=3e-6)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["numpy", "onnx"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("body", "normalization"), EACH)
def test_parity_of_every_choice_over_ten_thousand_observations(
    body, normalization, activation, format
):
    policy = policy_of(body=body, normalization=normalization, activation=activation)
    found = parity.measure(policy, exported(policy, format))
    assert found.largest_difference <= 1e-5
    assert found.largest_at_ordinary <= 5e-6


@pytest.mark.parametrize("format", NEEDS)
def test_nested_observations_on_a_scale_and_their_bounds(format):
    policy = policy_of(NESTED, normalized=True)
    act = exported(policy, format)
    observations = observations_of(policy)
    np.testing.assert_allclose(act(observations), policy(observations), atol=3e-6)
    one = jax.tree.map(lambda x: x[:1], observations)
    np.testing.assert_allclose(act(one), policy(one), atol=3e-6)


@pytest.mark.parametrize("format", NEEDS)
def test_saturated_actions_are_the_bounds_themselves(format):
    # Half a range away from its middle many of these bounds are missed by a last digit.
    low, high = np.sort(np.random.default_rng(0).uniform(-1, 1, (2, 40)) ** 9, axis=0)
    dtype = np.dtype(np.float32 if format == "stablehlo" else np.float64)
    policy = policy_of(action_map=ActionMap(low, high, (40,), dtype))
    observations = observations_of(policy, size=1e6)
    expected = policy(observations)
    assert (expected == policy.action_high).any()
    assert (expected == policy.action_low).any()
    at_bounds = (expected == policy.action_high) | (expected == policy.action_low)
    np.testing.assert_array_equal(
        exported(policy, format)(observations)[at_bounds], expected[at_bounds]
    )


@pytest.mark.parametrize("format", NEEDS)
def test_actions_have_their_shape_and_dtype(format):
    wide = ActionMap(np.full(6, -1e3), np.full(6, 7.0), (2, 3), np.dtype(np.float16))
    policy = policy_of(action_map=wide)
    observations = observations_of(policy)
    found = exported(policy, format)(observations)
    assert (found.shape, found.dtype) == ((64, 2, 3), np.float16)
    np.testing.assert_allclose(found, policy(observations), atol=0.5)  # its last digit


# Parity.


def test_parity_sees_ordinary_saturated_and_very_large_observations():
    policy, seen = policy_of(), []

    def same(observations):
        seen.append(abs(observations).max())
        return policy(observations)

    found = parity.measure(policy, same)
    assert found == parity.Parity(10_000, 0.0, 0.0, 1e-5, found.at_a_bound, 0, 0.0)
    assert 0.1 < found.at_a_bound < 0.9
    assert max(seen[:10]) < 10
    assert max(seen) > 1e5


def test_a_bound_is_that_of_its_own_dimension():
    high = np.array([2048.0, 2560.0])  # where float16 has whole numbers alone
    other = ActionMap(-high, high, (2,), np.dtype(np.float16))
    policy, seen = policy_of(action_map=other), []

    def same(observations):
        seen.append(policy(observations))
        return seen[-1]

    found = parity.measure(policy, same)
    first, second = abs(np.concatenate(seen)).T
    assert (second == 2048).any(), "where the first has its bounds"
    np.testing.assert_allclose(found.at_a_bound, np.mean([first == 2048, second == 2560]))


@pytest.mark.parametrize("wrong", [2e-5, np.nan])
def test_parity_is_refused_for_a_small_difference_in_one_action(wrong):
    policy = policy_of()

    def other(observations):
        action = policy(observations)
        action[7, 1] += 1.5 * wrong  # half the range of this action is 1.5
        return action

    with pytest.raises(parity.ParityError, match="nothing has been written"):
        parity.measure(policy, other)
    with pytest.raises(parity.ParityError, match=r"acts in \(500, 2\), expected \(500, 3\)"):
        parity.measure(policy, lambda observations: policy(observations)[:, :2])


@pytest.mark.parametrize("normalized", [False, True])
def test_what_single_precision_leaves_open_is_counted_apart(normalized):
    policy, rounded = (policy_of(normalized=normalized) for _ in range(2))
    with_kernels(policy, lambda kernel: 8 * kernel)
    with_kernels(rounded, lambda kernel: 8 * kernel * np.float32(1 + 2e-7))
    found = parity.measure(policy, rounded)
    assert 0 < found.rounding < 300
    assert found.largest_rounding > 1e-5 >= found.largest_difference
    with_kernels(rounded, lambda kernel: kernel * np.float32(1 + 1e-4))
    with pytest.raises(parity.ParityError):
        parity.measure(policy, rounded)


def test_digits_of_half_precision_that_the_scale_decides_are_counted_apart():
    policy, rounded = (policy_of(HALF, normalized=True) for _ in range(2))
    with_moments(policy, 1)
    with_moments(rounded, 1 + 2e-7)
    found = parity.measure(policy, rounded)
    assert 0 < found.rounding < 20
    with_moments(rounded, 1 + 1e-4)
    with pytest.raises(parity.ParityError):
        parity.measure(policy, rounded)


def with_moments(policy, factor):
    """Moments of no round numbers, and with these deviations."""
    moments = tuple(
        each.replace(mean=np.full_like(each.mean, 4 / 3), squares=each.squares * np.float32(factor))
        for each in policy.learned.normalizer
    )
    policy.learned = policy.learned._replace(normalizer=moments)


def test_floats_of_jax_alone_are_scaled_and_compared_too():
    half = jax.ShapeDtypeStruct((3,), jnp.bfloat16)
    policy = policy_of({"half": half, "single": FLAT}, normalized=True)
    assert parity.measure(policy, policy).largest_difference == 0
    with pytest.raises(ValueError, match=r"this run is of bfloat16.*stablehlo"):
        exported(policy, "numpy")


def with_kernels(policy, change):
    """Changes the weights of a policy's actor."""
    agent = policy.learned.agent
    params = jax.tree.map(lambda x: change(x) if x.ndim == 2 else x, agent.actor.params)
    agent = agent.replace(actor=agent.actor.replace(params=params))
    policy.learned = policy.learned._replace(agent=agent)


# Files.


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    policies = [policy_of(NESTED, normalized=True, seed=seed) for seed in (0, 1)]
    return save(tmp_path_factory.mktemp("saved") / "run", policies, [1.0, 2.0])


def test_the_numpy_program_is_short_and_needs_numpy_alone(run, capsys):
    assert commands.run(["export", str(run), "--format", "numpy", "--which", "best"]) == 0
    program, arrays = run / "export/seed-0000/policy.py", run / "export/seed-0000/policy.npz"
    printed = capsys.readouterr().out
    assert printed.startswith(
        f"{program}\n{arrays}\nlargest difference from the policy over 10,000"
    )
    lines = program.read_text().splitlines()
    assert len(lines) < 60
    assert lines[0].startswith('"""The policy of probe_environments:Drift-v0, seed 0, step 300')
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from policy import Policy
import json
policy = Policy()
observation = json.loads(sys.argv[2])
assert not {"jax", "jaxsac", "flax", "onnx"} & set(sys.modules)
print(json.dumps([policy(observation).tolist(), policy.metadata["parity"]]))
"""
    policy = jaxsac.load_policy(run, which="best")
    observations = jax.tree.map(lambda x: x.tolist(), observations_of(policy, 2))
    result = subprocess.run(
        [sys.executable, "-I", "-c", code, str(program.parent), json.dumps(observations)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    action, found = json.loads(result.stdout)
    np.testing.assert_allclose(action, policy(observations), atol=3e-6)
    assert found["observations"] == 10_000
    assert found["largest_difference"] < 1e-5


def test_the_numpy_program_says_what_was_counted_apart():
    found = dataclasses.asdict(parity.Parity(10_000, 9.6e-6, 1e-6, 1e-5, 0.5, 13, 5.6e-5))
    head = "9.6e-06 of half an action's range.\nCounted apart: 13 actions"
    assert head in numpy_format._program(FACTS | {"parity": found})
    assert "apart" not in numpy_format._program(FACTS | {"parity": {**found, "rounding": 0}})


def test_the_numpy_program_keeps_leading_axes_and_refuses_other_shapes():
    policy = policy_of(FLAT)
    act = exported(policy, "numpy")
    observations = observations_of(policy, 6)
    for lead in ((), (1,), (2, 3), (0,)):
        found = act(np.resize(observations, (*lead, 5)))
        assert found.shape == (*lead, 3)
    np.testing.assert_allclose(act(observations[0]), policy(observations[0]), atol=3e-6)
    for shape in ((4,), (3, 6), ()):
        with pytest.raises(ValueError, match="has shape"):
            act(np.zeros(shape))


def test_onnx_has_named_inputs_a_free_batch_and_its_parity_inside(run, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    written = Run(run).export("onnx", tmp_path / "mine.onnx", seed=1, which="best")
    assert written.paths == [tmp_path / "mine.onnx"]
    session = runtime.InferenceSession(written.paths[0], providers=["CPUExecutionProvider"])
    inputs = {each.name: each.shape for each in session.get_inputs()}
    assert inputs == {
        "observation.image": ["batch", 2, 2, 1], "observation.parts.0": ["batch"],
        "observation.parts.1": ["batch", 3], "observation.position": ["batch", 2],
    }  # fmt: skip
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["parity"]) == dataclasses.asdict(written.parity)
    assert (facts["seed"], facts["step"]) == ("1", "300")


def test_stablehlo_is_for_three_platforms_and_any_actor(tmp_path, monkeypatch):
    pytest.importorskip("flatbuffers")
    monkeypatch.setitem(sys.modules, "mine", sys.modules[__name__])
    monkeypatch.setattr(Own, "__module__", "mine")
    monkeypatch.setattr(sys.modules[__name__], "Actor", Own, raising=False)
    directory = save(tmp_path / "run", [policy_of(actor=Own())], [1.0])
    for other in ("numpy", "onnx") if importlib.util.find_spec("onnx") else ("numpy",):
        with pytest.raises(ValueError, match=r"own \(mine:Actor\).*--format stablehlo"):
            export.export(directory, other, which="best")
    assert not (directory / "export").exists()
    program, about = export.export(directory, "stablehlo", which="best").paths
    exported = jax.export.deserialize(bytearray(program.read_bytes()))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert json.loads(about.read_text())["parity"]["largest_difference"] < 1e-5


# Refusals.


def test_what_does_not_act_alike_is_not_written(run, tmp_path, monkeypatch, capsys):
    decode = numpy_format.decode
    monkeypatch.setattr(
        numpy_format, "decode", lambda files: lambda x: decode(files)(x) * np.float32(0.999)
    )
    command = ["export", str(run), "--format", "numpy", "--which", "best"]
    assert commands.run([*command, "--output", str(tmp_path / "policy")]) == 1
    error = capsys.readouterr().err
    assert "differs from the policy by" in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--output", "policy.onnx"], "policy.onnx must end in .py or .npz"),
        (["--output", "mine.py"], "mine.py is there and was not exported"),
        (["--seed", "7"], "has no seed 7: its seeds are 0 to 1"),
        (["--which", "latest"], "checkpoint"),
        (["--which", "worst"], "worst"),
    ],
)
def test_a_refusal_is_one_line(run, tmp_path, monkeypatch, capsys, options, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("years of work")
    command = ["export", "--run-dir", str(run), "--format", "numpy", "--which", "best", *options]
    assert commands.run(command) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["mine.py"]


@pytest.mark.parametrize(
    ("format", "name", "content"),
    [
        ("numpy", "policy.py", b"import jaxsac"),
        ("numpy", "policy.npz", b"years of work"),
        ("onnx", "policy.onnx", b"years of work"),
        ("stablehlo", "policy.json", b'{"name": "mine"}'),
        ("stablehlo", "policy.stablehlo", b"years of work"),
    ],
)
def test_files_of_someone_else_are_not_written_over(tmp_path, format, name, content):
    (tmp_path / name).write_bytes(content)
    endings = importlib.import_module(f"jaxsac.runs.export.{format}_format").ENDINGS
    with pytest.raises(ValueError, match=rf"{name} is there and was not exported from a run: give"):
        export._paths(tmp_path / "policy", endings)


def test_a_run_is_not_written_over(tmp_path):
    for folder in (tmp_path, tmp_path / "new"):
        with pytest.raises(ValueError, match="says that a folder holds a run"):
            export._paths(folder / "manifest.json", (".stablehlo", ".json"))


@pytest.mark.parametrize("format", NEEDS)
def test_what_was_exported_may_be_written_anew(tmp_path, format):
    for package in NEEDS[format]:
        pytest.importorskip(package)
    kind = importlib.import_module(f"jaxsac.runs.export.{format}_format")
    facts = FACTS | {"jaxsac": jaxsac.__version__}
    for ending, content in kind.encode(policy_of(), facts).items():
        (tmp_path / f"policy{ending}").write_bytes(content)
    assert export._paths(tmp_path / "policy", kind.ENDINGS)


@pytest.mark.parametrize(("format", "package"), [("onnx", "onnx"), ("stablehlo", "flatbuffers")])
def test_missing_packages_are_named_with_what_installs_them(run, monkeypatch, format, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=rf"{package}.*pip install 'jaxsac\[{format}\]'"):
        export.export(run, format, which="best")


def test_an_actor_that_reads_images_is_written_by_jax_alone():
    policy = policy_of(NESTED, encoder="auto")
    for format in ("numpy", "onnx"):
        with pytest.raises(ValueError, match=r"encoder.*--format stablehlo"):
            exported(policy, format)
    observations = observations_of(policy)
    found = exported(policy, "stablehlo")(observations)
    np.testing.assert_allclose(found, policy(observations), atol=3e-6)
