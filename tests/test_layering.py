"""Imports go down only: three rooms that do not know each other, and four floors above them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jaxsac

ROOT = Path(jaxsac.__file__).parent
STDLIB = sys.stdlib_module_names
NUMERICS = {"jax", "flax", "numpy", "chex"}
# Parts of jaxsac that each part may import, itself aside.
BELOW = {
    "types": set(),
    "draws": set(),
    "sac": {"types", "draws"},
    "data": {"types", "packages"},
    "envs": {"types", "draws", "named"},
    "packages": set(),
    "named": set(),
    "training": {"types", "draws", "sac", "data", "envs"},
    "runs": {"types", "packages", "named", "sac", "data", "envs", "training"},
    "sweeps": {"types", "packages", "sac", "data", "envs", "training", "runs"},
    "reports": {"packages", "runs"},
    "inspection": {"types", "packages", "sac", "data", "envs", "training", "runs", "reports"},
    "cli": {
        "types",
        "packages",
        "sac",
        "data",
        "envs",
        "training",
        "runs",
        "sweeps",
        "reports",
        "inspection",
    },
    "__init__": {"types", "sac", "data"},
    "__main__": {"cli"},
}
# For type checkers alone, inside `if TYPE_CHECKING`: those names are imported when asked for.
BELOW_FOR_TYPES = {"__init__": {"runs", "reports", "inspection"}}
# Outside packages that a part may import. Where none are listed, any but those refused.
ALLOWED = {
    "types": NUMERICS,
    "draws": NUMERICS,
    "sac": NUMERICS | {"optax"},
    "data": NUMERICS,
    "__init__": NUMERICS,
}
REFUSED = {
    "envs": {"optax", "matplotlib", "tyro", "rich"},
    "training": {"optax", "matplotlib", "tyro", "rich", "safetensors"},
    "runs": {"optax", "tyro"},
    "sweeps": {"optax"},
    "reports": {"jax", "flax", "optax", "tyro", "rich"},
    "inspection": {"optax", "tyro", "rich"},
    "cli": {"optax"},
    "packages": set(),
    "named": {"gymnasium", "optax"},
    "__main__": set(),
}
FILES = sorted(ROOT.rglob("*.py"))


def part_of(path):
    return path.relative_to(ROOT).with_suffix("").parts[0]


def is_for_types(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imported_modules(path, for_types=False):
    """Dotted names of all that a file imports, at any depth of the code."""
    package = ("jaxsac", *path.relative_to(ROOT).parent.parts)
    blocks = [node for node in ast.parse(path.read_text()).body if is_for_types(node) == for_types]
    for node in (each for block in blocks for each in ast.walk(block)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from jaxsac import runner` imports a part, `from jax import numpy` is jax.
            yield from (f"{module}.{alias.name}" for alias in node.names)


def offences(path):
    part = part_of(path)
    below = BELOW[part] | {part}
    yield from offences_among(imported_modules(path), part, below)
    below |= BELOW_FOR_TYPES.get(part, set())
    yield from offences_among(imported_modules(path, for_types=True), part, below)


def offences_among(names, part, below):
    for name in names:
        top, *rest = name.split(".")
        if top == "jaxsac":
            # What is not a part is a name that `jaxsac` re-exports from sac and data.
            known = rest and (rest[0] in BELOW or rest[0] == "replay")
            target = {"replay": "data"}.get(rest[0], rest[0]) if known else "sac"
            if target not in below:
                yield name
        elif top not in STDLIB and (
            top not in ALLOWED[part] if part in ALLOWED else top in REFUSED[part]
        ):
            yield name


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_a_file_imports_only_what_lies_below_it(path):
    assert list(offences(path)) == []


def test_every_part_is_covered():
    assert {part_of(path) for path in FILES} == set(BELOW)


def test_the_rules_refuse_what_they_should(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    refused = {
        "sac": [
            "import gymnasium",
            "from jaxsac.data import replay",
            "from ..training import learner",
        ],
        "data": ["import optax", "from jaxsac import init", "from jaxsac.sac.losses import Params"],
        "envs": ["from jaxsac import update", "def f():\n    import jaxsac.sac.agent"],
        "training": [
            "from jaxsac.runs import files",
            "from jaxsac import runs",
            "import matplotlib",
        ],
        "runs": ["from jaxsac.sweeps.plan import Group", "import tyro"],
        "sweeps": ["from jaxsac import cli"],
    }
    for part, lines in refused.items():
        (tmp_path / part).mkdir()
        for line in lines:
            path = tmp_path / part / "file.py"
            path.write_text(line)
            assert len(list(offences(path))) == 1, (part, line)
            path.write_text(f"if TYPE_CHECKING:\n    {line.splitlines()[-1].strip()}")
            assert len(list(offences(path))) == 1, (part, line)
    path, line = tmp_path / "__init__.py", "from jaxsac.runs.policies.load import load_policy"
    for content, count in ((line, 1), (f"if TYPE_CHECKING:\n    {line}", 0)):
        path.write_text(content)
        assert len(list(offences(path))) == count


def test_importing_the_library_touches_no_device_and_no_optional_package():
    code = """
import sys
import jaxsac
# Not rich: Flax itself imports it where it is installed.
optional = {"gymnasium", "mujoco", "matplotlib", "tyro", "safetensors", "psutil"}
assert not optional & set(sys.modules), optional & set(sys.modules)
assert "jaxsac.runs" not in sys.modules
assert set(jaxsac._WHEN_ASKED_FOR) <= set(jaxsac.__all__)
assert callable(jaxsac.load_policy) and callable(jaxsac.Policy)
assert not hasattr(jaxsac, "no_such_name")
assert "gymnasium" not in sys.modules
assert all(callable(getattr(jaxsac, name)) for name in jaxsac._WHEN_ASKED_FOR)
import jax
jax.config.update("jax_platforms", "cpu")
# JAX refuses this once a backend exists.
jax.config.update("jax_num_cpu_devices", 3)
assert len(jax.devices()) == 3
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
