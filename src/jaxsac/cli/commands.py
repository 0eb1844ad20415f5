"""The commands of `jaxsac`, their options, and how they refuse."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import sys
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxsac.cli import doctor
from jaxsac.cli.inspect import Inspect
from jaxsac.cli.options import registry, run_config, settings_class
from jaxsac.cli.policies import Export, Play, which_of
from jaxsac.cli.record import Record
from jaxsac.cli.report import Report
from jaxsac.cli.resuming import say_what_resumes
from jaxsac.envs import check, check_in_jax
from jaxsac.envs.checked import is_fault
from jaxsac.envs.options import EnvOptions
from jaxsac.envs.registry import make, make_in_jax, redirect_mujoco_warnings
from jaxsac.runs import report
from jaxsac.runs.bundle import BundleError
from jaxsac.runs.compilation_cache import keep_compiled_programs
from jaxsac.runs.config import RunConfig
from jaxsac.runs.directory import RunDirectory, RunDirectoryError
from jaxsac.runs.display import Display
from jaxsac.runs.evaluation import evaluate_run, explain_failure
from jaxsac.runs.settings import default_directory, file_name, of_preset
from jaxsac.runs.train import train_group
from jaxsac.sac import presets
from jaxsac.sweeps import plan, results
from jaxsac.sweeps import report as sweep_report
from jaxsac.sweeps.launch import LaunchError
from jaxsac.sweeps.placement import Placement
from jaxsac.sweeps.plan import Group
from jaxsac.types import Finding


def _help(annotation: Any, text: str) -> Any:
    return Annotated[annotation, tyro.conf.arg(help=text)]


TIMEOUT = 300.0
"""Seconds that a reset or step of an environment may take while it is checked."""
STOPPED = 130
"""Exit status of what was stopped before its end."""
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


class _Train:
    """What `jaxsac train` does with its options."""

    only_seed: int | None
    run_dir: Path | None

    @property
    def directory(self) -> Path:
        """Where the run, or the group of it, is written."""
        return self.run_dir or default_directory(run_config(self))

    def run(self) -> int:
        """Trains with a display and draws the learning curve, also of a run that was stopped."""
        config, directory = run_config(self), self.directory
        if self.only_seed is not None:
            config = config.only(self.only_seed)
            directory = directory.with_name(f"{directory.name}-{config.member_names[0]}")
        complete = train_group(config, directory, Display)
        plot = report.learning_curve(RunDirectory(directory))
        print(f"run: {directory}" + (f"\nlearning curve: {plot}" if plot else ""))
        return 0 if complete else STOPPED


Preset = _help(
    presets.Name | None,
    "Settings of another library or paper instead of jaxsac's; explicit options override it.",
)
Train = settings_class(
    "Train",
    "Train a group of independent seeds and leave a run directory.",
    {
        "run_dir": (
            _help(
                Path | None, "Run directory to write; runs/<env>-<hash of the settings> by default."
            ),
            None,
        ),
        "preset": (Preset, None),
        "only_seed": (
            _help(
                int | None,
                "Train this seed of the group alone, beside the group: in <run-dir>-seed-NNNN.",
            ),
            None,
        ),
    },
    _Train,
)


class _Sweep:
    """What `jaxsac sweep` does with its options."""

    set: tuple[str, ...]
    samples: int | None
    run_dir: Path | None
    placement: Placement

    @property
    def directory(self) -> Path:
        """Where the sweep is written."""
        return self.run_dir or Path("runs") / f"sweep-{file_name(run_config(self).env)}"

    def run(self) -> int:
        """Trains all members and leaves sweep.csv and sweep.png."""
        config, directory = run_config(self), self.directory
        groups = plan.groups(config, self.set, self.samples)
        trained = self.placement.train(groups, directory, Console())
        if not trained.complete:
            print(f"sweep: {directory}")
            return STOPPED
        if trained.leader:
            self._report(config, groups, trained.parts, directory)
        return 0

    def _report(
        self, config: RunConfig, groups: list[Group], parts: list[Group], directory: Path
    ) -> None:
        column = "eval_return" if config.eval_every else "train_return"
        rows = results.rows(directory, parts)
        scores = results.scores(rows, column)
        results.write_table(directory / "sweep.csv", rows)
        if not scores:
            print(f"table: {directory / 'sweep.csv'}")
            print(f"no {column} in the last fifth of the steps: there is nothing to compare.")
            return
        sweep_report.plot(directory / "sweep.png", groups, rows, scores, column)
        Console().print(sweep_report.table(groups, scores))
        print(f"table: {directory / 'sweep.csv'}\nplot: {directory / 'sweep.png'}")


Sweep = settings_class(
    "Sweep",
    "Train every seed at every point of a grid or a random search, and compare them.",
    {
        "set": (
            tyro.conf.UseAppendAction[
                _help(
                    tuple[str, ...],
                    "A setting to sweep over, once for each: name=value,value for a grid, with "
                    "network sizes as hidden_sizes=64x64,256x256; or name=low:high to draw from. "
                    "Hyperparameters train together in one program, values of anything else one "
                    "after the other. None: the seeds alone.",
                )
            ],
            (),
        ),
        "samples": (
            _help(int | None, "Points to draw at random; the whole grid by default."),
            None,
        ),
        "run_dir": (
            _help(
                Path | None,
                "Directory to write; runs/sweep-<env> by default. Each part of the sweep is a run "
                "within.",
            ),
            None,
        ),
        "preset": (Preset, None),
        "placement": (Placement, Placement()),
    },
    _Sweep,
)


@dataclasses.dataclass(frozen=True)
class Eval:
    """Evaluate the policies that a run saved, deterministic and sampled."""

    run_dir: tyro.conf.Positional[Path]
    """Run directory of the run."""
    episodes: int = 10
    """Episodes per seed and policy."""
    which: str = "latest"
    """Which policies: of the latest checkpoint; the best by the run's evaluations, scored anew on
    episodes of their own; or of a checkpoint, by its step."""
    env: str | None = None
    """Another environment with the same spaces; that of the run by default."""
    env_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Other arguments of the environment's constructor, as a JSON object; those of the run by
    default, or none with another environment."""
    wrapper: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Wrappers instead of those of the run, as for `train`."""
    eval_envs: int | None = None
    """Copies of the environment for each seed; one for each episode by default, as far as they can
    be made."""

    def run(self) -> int:
        """Prints a table of returns."""
        which = which_of(self.which)
        changes = {
            name: getattr(self, name)
            for name in ("env", "env_kwargs", "wrapper", "eval_envs")
            if getattr(self, name) not in (None, (), {})
        }
        evaluated = evaluate_run(self.run_dir, which, self.episodes, changes)
        table = Table(
            title=f"{evaluated.env}: return of {self.episodes} episodes, {self.which} policy"
        )
        for heading in ("seed", "step", "deterministic ± std", "sampled ± std"):
            table.add_column(heading, justify="right")
        for member in evaluated.members:
            returns = (member.deterministic, member.sampled)
            cells = (f"{r.mean():,.1f} ± {r.std():,.1f}" for r in returns)
            table.add_row(member.label, f"{member.step:,}", *cells)
        Console().print(table)
        return 0


@dataclasses.dataclass(frozen=True)
class ReplayFailure:
    """Repeat an update that was not finite, and say which term was not."""

    path: tyro.conf.Positional[Path]
    """failures/seed-NNNN of a run directory."""

    def run(self) -> int:
        """Prints the findings; the exit status is 1 if the update is finite here."""
        findings = explain_failure(self.path)
        print("\n".join(findings) or "repeated here, the update is finite")
        return int(not findings)


@dataclasses.dataclass(frozen=True)
class Doctor:
    """Look for what can go wrong on this machine: releases, in-place replay, memory, disk."""

    env: str | None = None
    """Environment of a planned run, to weigh its memory and disk; none by default."""
    seeds: int = 1
    """Number of seeds of the planned run."""
    replay_capacity: int = 1_000_000
    """Transitions that each of its seeds holds."""
    run_dir: Path = Path("runs")
    """Where runs are to be written."""

    def run(self) -> int:
        """Prints a table of findings; the exit status is 1 if one of them is bad."""
        config = None
        if self.env is not None:
            config = RunConfig(self.env, seeds=self.seeds, replay_capacity=self.replay_capacity)
        return _show(doctor.examine(config, self.run_dir))


@dataclasses.dataclass(frozen=True)
class Check:
    """Look for what can go wrong with an environment: spaces, digits, seeds, ends, rewards."""

    env: tyro.conf.Positional[str]
    """As for `train`."""
    env_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Arguments of the environment's constructor, as a JSON object."""
    wrapper: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """As for `train`."""

    def run(self) -> int:
        """Prints a table of findings; the exit status is 1 if one of them is bad."""
        redirect_mujoco_warnings()
        options = EnvOptions(self.env_kwargs, self.wrapper)
        in_jax = make_in_jax(self.env, options)
        if in_jax is not None:
            return _show(check_in_jax.check(in_jax))
        return _show(check.check(lambda: make(self.env, 1, timeout=TIMEOUT, options=options)[0]))


def _show(findings: list[Finding]) -> int:
    """Prints a table of findings, and returns 1 if one of them is bad."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for finding in findings:
        color = {"good": "green", "advice": "yellow", "bad": "red"}[finding.verdict]
        table.add_row(finding.what, f"[{color}]{finding.verdict}[/]", Text(finding.detail))
    Console().print(table)
    return int(any(finding.verdict == "bad" for finding in findings))


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
    except KeyboardInterrupt:
        print("jaxsac: ended at once; nothing more was saved.", file=sys.stderr)
        _say_what_resumes(command, arguments)
        raise
    except REFUSALS as error:
        if is_fault(error):  # its traceback is for whoever wrote the environment
            raise
        print(f"jaxsac: {error}", file=sys.stderr)
        return 1


def _say_what_resumes(command: Any, arguments: list[str]) -> None:
    if isinstance(command, _Train | _Sweep):
        say_what_resumes(arguments, None if command.run_dir else command.directory)


def parse(arguments: list[str]) -> Any:
    """The command that the arguments ask for; exits with a message on unusable ones."""
    options: dict[str, Any] = {"config": (tyro.conf.OmitArgPrefixes,)}
    with registry():
        if arguments and arguments[0] in COMMANDS:
            name, *rest = arguments
            if name in ("eval", "export", "inspect", "play", "record"):
                rest = _with_positional(rest)
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


def _with_positional(arguments: list[str]) -> list[str]:
    """With `--run-dir X`, as the other commands have it, for a directory in its place."""
    if "--run-dir" in arguments[:-1]:
        at = arguments.index("--run-dir")
        return [arguments[at + 1], *arguments[:at], *arguments[at + 2 :]]
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
