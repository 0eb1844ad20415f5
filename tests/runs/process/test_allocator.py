"""A training process keeps the memory that its updates free."""

import os
import platform
import subprocess
import sys

import pytest

# Elsewhere nothing is set, and there is nothing that a test could see.
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a parameter of glibc")
PROGRAM = """
import os, resource
import numpy as np
from jaxsac.runs.process import allocator
allocator.keep_freed_memory()
for size in (2**24, 2**26):  # below and above what glibc takes from the system piece by piece
    np.ones(size, np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(size, np.uint8)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**environment):
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | environment, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    return [int(line) for line in process.stdout.split()]


@glibc
def test_memory_that_is_freed_is_not_fetched_from_the_system_again():
    assert max(faults()) < 500


@glibc
def test_what_a_user_has_tuned_is_respected():
    assert max(faults(MALLOC_MMAP_MAX_="65536")) > 10_000
