"""`jaxsac record`."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Annotated

import tyro

from jaxsac.runs import record


@dataclasses.dataclass(frozen=True)
class Record:
    """Write the replay of a run as a data set, which --prior-data reads back."""

    run_dir: tyro.conf.Positional[Path]
    """Run directory of the run; its latest checkpoint is taken."""
    output: str | None = None
    """File to write, <run directory>/replay.npz by default; or id of the data set of Minari,
    jaxsac/<env>/<run directory>-v0 by default."""
    seed: int | None = None
    """Seed whose transitions to write; by default those of all, one seed after the other."""
    form: Annotated[record.Format, tyro.conf.arg(name="format")] = "npz"
    """A plain .npz, or minari: a data set in Minari's local root (`pip install
    'jaxsac[minari]'`)."""

    def run(self) -> int:
        """Says what was written."""
        made = record.record(self.run_dir, self.output, self.seed, self.form)
        print(f"recorded: {made.rows:,} transitions in {made.episodes:,} episodes or parts of them")
        print(f"to learn from them: --prior-data {shlex.quote(made.source)}")
        return 0
