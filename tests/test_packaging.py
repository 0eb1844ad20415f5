"""What is published works: a wheel, and one made from the sdist, in environments of their own.

Their dependencies are those of this environment, so nothing is fetched.
"""

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
USE = """
import pathlib, sys
import jax, jax.numpy as jnp
import jaxsac
from jaxsac.reports import reference

assert pathlib.Path(jaxsac.__file__).is_relative_to(sys.prefix), jaxsac.__file__
ones = jnp.ones((4, 1))
batch = jaxsac.Transition(ones, 0 * ones, ones[:, 0], ones[:, 0], ones)
state = jaxsac.init(jax.random.key(0), ones[0], ones[0], jaxsac.Config(hidden_sizes=(4,)))
assert reference.published("HalfCheetah-v4"), "a file of data is there"
assert int(jaxsac.update(state, batch, jax.random.key(1))[0].step) == 1
"""


def run(*command, **options):
    """What a command prints; it finds no packages by this process's PYTHONPATH."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=300, env=environment,
        **options,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", folder, cwd=ROOT)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist}


@pytest.mark.slow  # a virtual environment, and a package installed in it twice
def test_they_install_and_work(built, tmp_path):
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", venv)
    there = run(venv / "bin/python", "-c", "import sysconfig as s; print(s.get_path('purelib'))")
    # What is installed here is found after what is installed there.
    Path(there.strip(), "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    for kind in ("wheel", "sdist"):
        run(
            venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--no-index", "--no-deps", "--no-build-isolation", "--force-reinstall", built[kind],
        )  # fmt: skip
        run(venv / "bin/python", "-I", "-c", USE, cwd=tmp_path)
        assert "train" in run(venv / "bin/jaxsac", "--help", cwd=tmp_path)


def test_all_of_the_package_is_in_them(built):
    package = ROOT / "src" / "jaxsac"
    files = {
        f"jaxsac/{file.relative_to(package)}"
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert files <= set(zipfile.ZipFile(built["wheel"]).namelist())
    with tarfile.open(built["sdist"]) as archive:
        inside = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {f"src/{file}" for file in files} | {"README.md", "LICENSE"} <= inside
