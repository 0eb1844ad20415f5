"""Every command of the documentation parses: its targets, variables and options are there."""

import contextlib
import dataclasses
import functools
import io
import re
import shlex
import shutil
import subprocess

import pytest

from documents import ALL, PAGES, README, ROOT, commands, inline
from jaxsac.cli import commands as cli

MAKEFILE = (ROOT / "Makefile").read_text()
OURS = (README, ROOT / "CONTRIBUTING.md", *PAGES)


def found(kind):
    """Commands of a kind with their pages, each once."""
    return {
        " ".join(arguments): (page, arguments)
        for page in ALL
        for arguments in commands(page)
        if arguments[0].rpartition("/")[2] == kind
    }


@functools.cache
def parse(arguments):
    """What the command line says against these arguments, a tuple; or nothing."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            cli.parse(list(arguments))
        except SystemExit as end:
            return said.getvalue() if end.code else ""
    return ""


def complete(arguments):
    """With what a command between the lines leaves to the reader."""
    needed = {"train": ["--env", "Pendulum-v1"], "sweep": ["--env", "Pendulum-v1"]}
    needed |= {name: ["runs/mine"] for name in ("eval", "export", "inspect", "play", "record")}
    needed |= {"check": ["Pendulum-v1"], "report": ["runs/mine"], "replay-failure": ["failure"]}
    name, *rest = arguments
    named = "--env" in rest if name in ("train", "sweep") else rest and rest[0][0] != "-"
    own = [] if named or "--help" in rest else needed.get(name, [])
    own += ["--format", "numpy"] if name == "export" and "--format" not in rest else []
    return (name, *own, *rest)


def test_commands_of_the_command_line():
    said = found("jaxsac")
    assert len(said) > 30
    for page, (_, *arguments) in said.values():
        assert not parse(complete(arguments)), f"{page.relative_to(ROOT)}: {arguments}"


# `pip install` and pytest alone do not bring make; `make test` itself cannot get here without it.
@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
def test_targets_of_make_and_what_they_pass_on():
    said = found("make")
    assert len(said) > 15
    variables = set(re.findall(r"^(\w+) [?:]?=", MAKEFILE, re.MULTILINE)) | {"BASE"}
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    for page, (_, *arguments) in said.values():
        place = f"{page.relative_to(ROOT)}: make {arguments}"
        assert {a.partition("=")[0] for a in arguments if "=" in a} <= variables, place
        assert {a for a in arguments if "=" not in a} <= targets, place
        shown = subprocess.run(
            ["make", "--dry-run", *arguments], cwd=ROOT, capture_output=True, text=True
        )
        assert shown.returncode == 0, f"{place}: {shown.stderr}"
        for passed_on in _shell_words(shown.stdout):
            if passed_on[0].endswith("/jaxsac"):
                assert not parse(complete(passed_on[1:])), place


def test_scripts_are_there():
    for page, arguments in found("python").values():
        scripts = [argument for argument in arguments if argument.endswith(".py")]
        assert any((folder / scripts[0]).exists() for folder in (ROOT, page.parent)), arguments


def test_options_that_are_named_are_there():
    known = set().union(*(_options(command) for command in cli.COMMANDS.values()))
    known |= {f"--no-{option[2:]}" for option in known} | {"--help"}
    for page in OURS:
        for code in inline(page):
            if code.startswith("--"):
                option = code.split()[0].partition("=")[0]
                assert option in known, f"{page.name} names {option}, which there is not"


def test_a_wrong_option_is_found():
    """The checks above can fail."""
    assert "--no-such-option" in parse(complete(["train", "--no-such-option", "3"]))
    assert parse(complete(["sweep", "--set", "actor_lr=1e-4", "--launcher", "none"]))


def _shell_words(text):
    lines = text.replace("\\\n", " ").splitlines()
    return [words for line in lines if "jaxsac" in line and (words := shlex.split(line))]


def _options(command):
    names = set()
    for field in dataclasses.fields(command):
        names.add(f"--{field.name.replace('_', '-')}")
        for group in (field.default_factory, type(field.default)):
            if dataclasses.is_dataclass(group):
                names |= _options(group)
    return names
