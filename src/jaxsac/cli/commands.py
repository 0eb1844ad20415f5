"""The commands of `jaxsac`, their options, and how they refuse."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxsac.cli import doctor
from jaxsac.envs import check, check_in_jax
from jaxsac.envs.checked import is_fault
from jaxsac.envs.registry import make, make_in_jax, redirect_mujoco_warnings
from jaxsac.runs import report
from jaxsac.runs.bundle import BundleError
from jaxsac.runs.compilation_cache import keep_compiled_programs
from jaxsac.runs.config import RunConfig
from jaxsac.runs.directory import RunDirectory, RunDirectoryError
from jaxsac.runs.display import Display
from jaxsac.runs.evaluation import evaluate_run, explain_failure
from jaxsac.runs.train import train
from jaxsac.sac import presets
from jaxsac.sac.config import Scalar
from jaxsac.sweeps import plan, results
from jaxsac.sweeps import report as sweep_report
from jaxsac.sweeps.launch import LaunchError
from jaxsac.sweeps.placement import Placement
from jaxsac.sweeps.plan import Group
from jaxsac.types import Finding

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


@dataclasses.dataclass(frozen=True)
class Train:
    """Train a group of independent seeds and leave a run directory."""

    config: RunConfig
    preset: presets.Name | None = None
    """Defaults of another library instead of jaxsac's; explicit options override it."""
    run_dir: Path | None = None
    """Run directory to write; runs/<env> by default."""
    only_seed: int | None = None
    """Train this seed of the group alone, beside the group: in <run-dir>-seed-NNNN."""

    def run(self) -> int:
        """Trains with a display and draws the learning curve, also of a run that was stopped."""
        directory = self.run_dir or default_directory(self.config.env)
        config = self.config
        if self.only_seed is not None:
            config = config.only(self.only_seed)
            directory = directory.with_name(f"{directory.name}-{config.member_names[0]}")
        with Display(config) as display:
            complete = train(config, directory, display)
        plot = report.learning_curve(RunDirectory(directory))
        if not complete:
            print(
                f"jaxsac: stopped; policies and metrics so far are in {directory}.",
                file=sys.stderr,
            )
            return 130
        print(f"run: {directory}" + (f"\nlearning curve: {plot}" if plot else ""))
        return 0


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Train every seed at every point of a grid or a random search, and compare them."""

    config: RunConfig
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A setting to sweep over, once for each: name=value,value for a grid, with network sizes as
    hidden_sizes=64x64,256x256; or name=low:high to draw from. Hyperparameters train together in one
    program, values of anything else one after the other. None: the seeds alone."""
    preset: presets.Name | None = None
    """Defaults of another library instead of jaxsac's; explicit options override it."""
    samples: int | None = None
    """Points to draw at random; the whole grid by default."""
    run_dir: Path | None = None
    """Directory to write; runs/sweep-<env> by default. Each part of the sweep is a run within."""
    placement: Placement = Placement()

    def run(self) -> int:
        """Trains all members and leaves sweep.csv and sweep.png."""
        groups = plan.groups(self.config, self.set, self.samples)
        directory = self.run_dir or default_directory(f"sweep-{self.config.env}")
        trained = self.placement.train(groups, directory, Console())
        if not trained.complete:
            print(f"jaxsac: stopped; the same command resumes in {directory}.", file=sys.stderr)
            return 130
        if trained.leader:
            self._report(groups, trained.parts, directory)
        return 0

    def _report(self, groups: list[Group], parts: list[Group], directory: Path) -> None:
        column = "eval_return" if self.config.eval_every else "train_return"
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


@dataclasses.dataclass(frozen=True)
class Eval:
    """Evaluate the policies that a run saved, deterministic and sampled."""

    run_dir: Path
    """Run directory of the run."""
    episodes: int = 10
    """Episodes per seed and policy."""
    step: int | None = None
    """Which checkpoint, by its step; the latest by default."""

    def run(self) -> int:
        """Prints a table of returns."""
        step, config, deterministic, sampled = evaluate_run(self.run_dir, self.step, self.episodes)
        table = Table(title=f"{config.env}, step {step:,}: return of {self.episodes} episodes")
        for heading in ("seed", "deterministic ± std", "sampled ± std"):
            table.add_column(heading, justify="right")
        for index, member in enumerate(config.member_labels):
            returns = (deterministic.returns[index], sampled.returns[index])
            table.add_row(member, *(f"{r.mean():,.1f} ± {r.std():,.1f}" for r in returns))
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

    def run(self) -> int:
        """Prints a table of findings; the exit status is 1 if one of them is bad."""
        redirect_mujoco_warnings()
        in_jax = make_in_jax(self.env)
        if in_jax is not None:
            return _show(check_in_jax.check(in_jax))
        return _show(check.check(lambda: make(self.env, 1)[0]))


def _show(findings: list[Finding]) -> int:
    """Prints a table of findings, and returns 1 if one of them is bad."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for finding in findings:
        color = {"good": "green", "advice": "yellow", "bad": "red"}[finding.verdict]
        table.add_row(finding.what, f"[{color}]{finding.verdict}[/]", Text(finding.detail))
    Console().print(table)
    return int(any(finding.verdict == "bad" for finding in findings))


def run(arguments: list[str]) -> int:
    """Runs one command and turns a refusal into a message and an exit status."""
    try:
        command = parse(arguments)
        keep_compiled_programs()
        return command.run()
    except REFUSALS as error:
        if is_fault(error):  # its traceback is for whoever wrote the environment
            raise
        print(f"jaxsac: {error}", file=sys.stderr)
        return 1


def parse(arguments: list[str]) -> Train | Sweep | Eval | ReplayFailure | Doctor | Check:
    """The command that the arguments ask for; exits with a message on unusable ones."""
    commands: dict[str, Any] = {
        "train": Train,
        "sweep": Sweep,
        "eval": Eval,
        "replay-failure": ReplayFailure,
        "doctor": Doctor,
        "check": Check,
    }
    registry = tyro.constructors.ConstructorRegistry()
    registry.primitive_rule(_scalar)
    options: dict[str, Any] = {"config": (tyro.conf.OmitArgPrefixes, tyro.conf.SuppressFixed)}
    with registry:
        if arguments and arguments[0] in commands:
            name, *rest = arguments
            options["prog"] = f"jaxsac {name}"
            # A preset's options first: of two alike the last counts.
            return tyro.cli(commands[name], args=[*_preset_options(rest), *rest], **options)
        description = "Soft Actor-Critic as pure functions in JAX."
        return tyro.extras.subcommand_cli_from_dict(
            commands, prog="jaxsac", description=description, args=arguments, **options
        )


def default_directory(env: str) -> Path:
    """runs/<env>, with the module of `module:EnvId` as part of the name."""
    return Path("runs") / env.replace(":", "-").replace("/", "-")


def _preset_options(arguments: list[str]) -> list[str]:
    """The command line of the preset that the arguments name, if they name one that there is.

    Every setting in which it differs from the defaults.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", nargs="?")
    name = parser.parse_known_args(arguments)[0].preset
    if name not in presets.PRESETS:
        return []
    default, chosen = presets.Preset(), presets.preset(name)
    records = [
        (vars(default.config), vars(chosen.config)),
        (vars(default.hyperparameters), vars(chosen.hyperparameters)),
        (default._asdict(), chosen._asdict()),
    ]
    options = []
    for before, after in records:
        for field, value in after.items():
            if field not in ("config", "hyperparameters") and value != before[field]:
                values = value if isinstance(value, tuple) else (value,)
                options += [f"--{field.replace('_', '-')}", *map(str, values)]
    return options


def _scalar(info: tyro.constructors.PrimitiveTypeInfo) -> Any:
    """A hyperparameter may be an array in a program; on the command line it is a number."""
    if info.type not in (Scalar, Scalar | None):
        return None
    optional = info.type != Scalar
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="FLOAT|None" if optional else "FLOAT",
        instance_from_str=lambda text: None if optional and text[0] == "None" else float(text[0]),
        is_instance=lambda value: value is None or isinstance(value, float | int),
        str_from_instance=lambda value: [str(value)],
    )
