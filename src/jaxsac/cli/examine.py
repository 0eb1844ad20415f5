"""`jaxsac doctor` and `jaxsac check`: what can go wrong, as a table of findings."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import tyro
from rich.table import Table
from rich.text import Text

from jaxsac.cli import doctor
from jaxsac.cli.console import Console
from jaxsac.envs.copies import mujoco_warnings
from jaxsac.envs.fitness import check, check_in_jax
from jaxsac.envs.in_jax.families import make_in_jax
from jaxsac.envs.options import EnvOptions
from jaxsac.envs.registry import make
from jaxsac.runs.settings.config import RunConfig
from jaxsac.types import Finding

TIMEOUT = 300.0
"""Seconds that a reset or step of an environment may take while it is checked."""


@dataclasses.dataclass(frozen=True)
class Doctor:
    """Look for what can go wrong on this machine: releases, replay; of a run, memory and disk."""

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
        elif (self.seeds, self.replay_capacity) != (Doctor.seeds, Doctor.replay_capacity):
            raise ValueError("seeds and replay_capacity are of a planned run: give its --env too.")
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
        mujoco_warnings.redirect()
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
