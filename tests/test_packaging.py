"""What is published works: a wheel, and one made from the sdist, in environments of their own.

Their dependencies are those of this environment, so nothing is fetched.
"""

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
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=300, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", folder, cwd=ROOT)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist}


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_installs_and_works(built, tmp_path, kind):
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    here = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    # What is installed here is found after what is installed there.
    Path(here, "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    run(
        python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index",
        "--no-deps", "--no-build-isolation", built[kind],
    )  # fmt: skip
    run(python, "-c", USE, cwd=tmp_path)
    assert "train" in run(tmp_path / "venv" / "bin" / "jaxsac", "--help", cwd=tmp_path)


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
