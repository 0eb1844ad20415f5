"""`jaxsac eval`, and `jaxsac replay-failure`: what is saved is run again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from rich.table import Table

from jaxsac.cli.console import Console
from jaxsac.cli.policies import given, which_of
from jaxsac.runs.policies.evaluation import evaluate_run, explain_failure
from jaxsac.training.returns import without_return


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
    env_kwargs: dict[str, Any] | None = None
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
        changes = given(self, "env", "env_kwargs", "wrapper", "eval_envs")
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
        for sentence in without_return(np.stack([evaluated.deterministic, evaluated.sampled])):
            print(sentence)
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
