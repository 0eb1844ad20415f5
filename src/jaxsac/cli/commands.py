"""The commands of `jaxsac`: which one is asked for, and how they refuse."""

from __future__ import annotations

import argparse
import difflib
import os
import select
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_type_hints

import tyro

import jaxsac
from jaxsac.cli.evaluate import Eval, ReplayFailure
from jaxsac.cli.examine import Check, Doctor
from jaxsac.cli.inspect import Inspect
from jaxsac.cli.main import STOPPED
from jaxsac.cli.options import registry
from jaxsac.cli.policies import Export, Play
from jaxsac.cli.record import Record
from jaxsac.cli.report import Report
from jaxsac.cli.resuming import say_what_resumes
from jaxsac.cli.sweep import Sweep, Sweeping
from jaxsac.cli.train import Train, Training
from jaxsac.envs.checked import is_fault
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.directory.directory import RunDirectoryError
from jaxsac.runs.process.compilation_cache import keep_compiled_programs
from jaxsac.runs.settings.settings import of_preset
from jaxsac.sac import presets
from jaxsac.sweeps.launch import LaunchError

REFUSALS = (
    ValueError,
    ModuleNotFoundError,
    MemoryError,
    FloatingPointError,
    OSError,
    RunDirectoryError,
    BundleError,
    LaunchError,
)
READER_GONE = 141
"""The status of a program that SIGPIPE ends."""


def run(arguments: list[str]) -> int:
    """Runs one command and turns a refusal into a message and an exit status.

    Raises:
      KeyboardInterrupt: Ctrl-C where nothing can be saved, or twice; with a message too.
    """
    command = None
    try:
        command = parse(arguments)
        keep_compiled_programs()
        status = command.run()
        if status == STOPPED:
            _say_what_resumes(command, arguments)
        return status
    except KeyboardInterrupt as error:
        saved = "".join(f". {note}" for note in getattr(error, "__notes__", []))
        print(f"jaxsac: ended at once{saved or '; nothing more was saved.'}", file=sys.stderr)
        _say_what_resumes(command, arguments)
        raise
    except REFUSALS as error:
        if is_fault(error):  # its traceback is for whoever wrote the environment
            raise
        if isinstance(error, BrokenPipeError) and _reader_has_gone():
            return READER_GONE
        print(f"jaxsac: {error}", file=sys.stderr)
        return 1


def _reader_has_gone() -> bool:
    """Whether nobody reads standard output any more, as after `| head`; it is let go then."""
    output = sys.stdout.fileno()
    poll = select.poll()
    poll.register(output, 0)
    gone = any(event & select.POLLERR for _, event in poll.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return gone


def _say_what_resumes(command: Any, arguments: list[str]) -> None:
    if isinstance(command, Training | Sweeping):
        say_what_resumes(arguments, None if command.run_dir else command.directory)


def parse(arguments: list[str]) -> Any:
    """The command that the arguments ask for; exits with a message on unusable ones."""
    options: dict[str, Any] = {"config": (tyro.conf.OmitArgPrefixes,)}
    with registry():
        if arguments == ["--version"]:
            print(f"jaxsac {jaxsac.__version__}, jax {version('jax')}")
            raise SystemExit
        if arguments and arguments[0] in COMMANDS:
            name, *rest = arguments
            hints = get_type_hints(COMMANDS[name], include_extras=True)
            for option in ("run_dir", "env"):
                if hints.get(option) in (tyro.conf.Positional[Path], tyro.conf.Positional[str]):
                    rest = _with_positional(rest, option.replace("_", "-"))
            options["prog"] = f"jaxsac {name}"
            # A preset's options first: of two alike the last counts.
            return tyro.cli(COMMANDS[name], args=[*_preset_options(rest), *rest], **options)
        if arguments and not arguments[0].startswith("-"):
            close = difflib.get_close_matches(arguments[0], COMMANDS, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(COMMANDS)}."
            print(f"jaxsac: there is no command {arguments[0]!r}; {hint}", file=sys.stderr)
            raise SystemExit(2)
        description = "Soft Actor-Critic as pure functions in JAX."
        return tyro.extras.subcommand_cli_from_dict(
            COMMANDS, prog="jaxsac", description=description, args=arguments, **options
        )


def _with_positional(arguments: list[str], option: str) -> list[str]:
    """With `--run-dir X`, as other commands have it, for a directory in its place; so for `env`."""
    for at, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name.replace("_", "-") == f"--{option}" and (equals or arguments[at + 1 :]):
            rest = at + 1 if equals else at + 2
            if option == "run-dir" and value.startswith("-"):  # or it would be an option
                value = os.path.join(os.curdir, value)
            return [value if equals else arguments[at + 1], *arguments[:at], *arguments[rest:]]
    return arguments


def _preset_options(arguments: list[str]) -> list[str]:
    """The command line of the preset that the arguments name, if they name one that there is."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", nargs="?")
    name = parser.parse_known_args(arguments)[0].preset
    if name not in presets.PRESETS:
        return []
    options = []
    for field, value in of_preset(name).items():
        option = field.replace("_", "-")
        if isinstance(value, bool):
            options.append(f"--{option}" if value else f"--no-{option}")
        else:
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            options += [f"--{option}", text]
    return options


COMMANDS: dict[str, Any] = {
    "train": Train,
    "sweep": Sweep,
    "eval": Eval,
    "report": Report,
    "export": Export,
    "play": Play,
    "inspect": Inspect,
    "replay-failure": ReplayFailure,
    "doctor": Doctor,
    "check": Check,
    "record": Record,
}
