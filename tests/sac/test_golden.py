"""20 updates of plain SAC still come to the numbers that they came to at 0a08c19.

The bits depend on the processor and on jaxlib: `make golden BASE=<revision>` compares those.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def computed(users_environment):
    """Of programs compiled as users' are, in a process of their own."""
    printed = subprocess.check_output(
        [sys.executable, GOLDEN / "values.py"], env=users_environment, text=True
    )
    return json.loads(printed)


@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"), [("float64", 1e-10, 1e-10), ("float32", 1e-4, 1e-5)]
)
def test_twenty_updates_come_to_the_stored_values(computed, dtype, rtol, atol):
    stored = json.loads((GOLDEN / "values.json").read_text())[dtype]
    for name, expected in stored.items():
        np.testing.assert_allclose(computed[dtype][name], expected, rtol, atol, err_msg=name)
