"""What was exported acts where only its runtime is installed, as docs/export.md shows."""

import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxsac.envs.action_map import ActionMap
from jaxsac.runs.export import export
from saved_policies import observations_of, policy_of, save

DOCS = Path(__file__).parents[3] / "docs" / "export.md"
OBSERVATION = jax.ShapeDtypeStruct((17,), np.float32)
UNITS = ActionMap(np.full(6, -1.0), np.full(6, 3.0), (6,), np.dtype(np.float32))
RUNTIMES = {
    "numpy": ("numpy",), "onnx": ("numpy", "onnxruntime"), "stablehlo": ("jax", "flatbuffers"),
}  # fmt: skip
WRITERS = {"numpy": [], "onnx": ["onnx", "onnxruntime"], "stablehlo": ["flatbuffers"]}
AFTERWARDS = """
import sys
assert not {"jaxsac", "flax", "torch"} & set(sys.modules)
np.save("actions.npy", action)
"""


def examples():
    return dict(
        zip(RUNTIMES, re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL), strict=True)
    )


def exported(tmp_path, format):
    for package in WRITERS[format]:
        pytest.importorskip(package)
    policy = policy_of(OBSERVATION, UNITS, body="residual", normalization="batch", normalized=True)
    export.export(save(tmp_path / "run", [policy], [1.0]), format, tmp_path / "policy", 0, "best")
    observations = observations_of(policy, 50, 3.0)
    np.save(tmp_path / "observations.npy", observations)
    return policy(observations)


def act(python, tmp_path, format):
    """The actions of the example in the documentation, at the observations of `exported`."""
    example = examples()[format]
    assert len(example.splitlines()) <= 10
    observations = "np.zeros((1, 17), np.float32)"
    assert observations in example
    (tmp_path / "example.py").write_text(
        example.replace(observations, 'np.load("observations.npy")') + AFTERWARDS
    )
    result = subprocess.run(
        [python, "example.py"], cwd=tmp_path, capture_output=True, text=True, env={"PATH": ""}
    )
    assert result.returncode == 0, result.stderr
    return np.load(tmp_path / "actions.npy")


@pytest.mark.parametrize("format", RUNTIMES)
def test_the_example_of_the_documentation_acts_as_the_policy(tmp_path, format):
    expected = exported(tmp_path, format)
    np.testing.assert_allclose(act(sys.executable, tmp_path, format), expected, atol=3e-5)


@pytest.mark.slow
@pytest.mark.parametrize("format", RUNTIMES)
def test_it_acts_where_only_its_runtime_is_installed(tmp_path, format):
    expected = exported(tmp_path, format)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *RUNTIMES[format]], check=True)
    np.testing.assert_allclose(act(python, tmp_path, format), expected, atol=3e-5)
