"""20 updates of plain SAC still come to the numbers that they came to at 0a08c19.

The bits depend on the processor and on jaxlib: `make golden BASE=<revision>` compares those.
"""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from golden import values

GOLDEN = Path(values.__file__).parent
STORED = json.loads((GOLDEN / "values.json").read_text())
TOLERANCES = {"float64": (1e-10, 1e-10), "float32": (1e-4, 1e-5)}


def assert_as_stored(dtype, computed):
    for name, expected in STORED[dtype].items():
        np.testing.assert_allclose(computed[name], expected, *TOLERANCES[dtype], err_msg=name)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_twenty_updates_come_to_the_stored_values(dtype):
    with jax.enable_x64(dtype == "float64"):
        assert_as_stored(dtype, values.golden_values())


@pytest.mark.slow  # all optimizations take the compiler long
def test_so_they_do_in_programs_compiled_as_users_are(users_environment):
    printed = subprocess.check_output(
        [sys.executable, GOLDEN / "values.py"], env=users_environment, text=True
    )
    computed = json.loads(printed)
    for dtype in TOLERANCES:
        assert_as_stored(dtype, computed[dtype])
