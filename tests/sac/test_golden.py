"""20 updates of plain SAC still come to the numbers that they came to at 0a08c19.

The bits depend on the processor and on jaxlib: `make golden BASE=<revision>` compares those.
"""

import importlib.util
import json
from pathlib import Path

import jax
import numpy as np
import pytest

GOLDEN = Path(__file__).parents[1] / "golden"


def golden_values():
    spec = importlib.util.spec_from_file_location("golden_values", GOLDEN / "values.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.golden_values()


@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"), [("float64", 1e-10, 1e-10), ("float32", 1e-4, 1e-5)]
)
def test_twenty_updates_come_to_the_stored_values(dtype, rtol, atol):
    stored = json.loads((GOLDEN / "values.json").read_text())[dtype]
    with jax.enable_x64(dtype == "float64"):
        values = golden_values()
    for name, expected in stored.items():
        np.testing.assert_allclose(values[name], expected, rtol, atol, err_msg=name)
