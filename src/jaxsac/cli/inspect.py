"""`jaxsac inspect`: what goes on inside a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro
from rich.table import Table
from rich.text import Text

from jaxsac.cli.console import Console
from jaxsac.cli.policies import which_of
from jaxsac.runs.settings import labels

if TYPE_CHECKING:
    from jaxsac.inspection.inspect import Inspection

MOST_COLUMNS = 4
"""Members in the table of the terminal; the page has all."""


@dataclasses.dataclass(frozen=True)
class Inspect:
    """Look inside a run: entropy, over-estimation, saturation, gradients, dead units, replay."""

    run_dir: tyro.conf.Positional[Path]
    """Run directory, of a run that is finished or not."""
    seed: tuple[int, ...] = ()
    """Seeds to look at, such as 0,2; all by default."""
    which: str = "latest"
    """Which checkpoint: the latest, or one by its step; or the best policies, which are kept
    without their critics."""
    episodes: int = 3
    """Episodes of the sampled policy of each seed, to compare its critics with; 0: none."""
    output: Path | None = None
    """Directory to write inspect.html, inspect.json and figures to; inspect/ within the run by
    default."""

    def run(self) -> int:
        """Writes the inspection, and prints a short table and what looks bad."""
        from jaxsac.inspection.inspect import inspect

        which = which_of(self.which)
        found = inspect(self.run_dir, self.seed or None, which, self.output, self.episodes)
        console = Console()
        console.print(table(found))
        if len(found.members) > MOST_COLUMNS:
            print(f"and {len(found.members) - MOST_COLUMNS} more, which the page has")
        print(f"page: {found.directory / 'inspect.html'}")
        return 0


def table(found: Inspection) -> Table:
    """The first number of each subject and all that look bad, a column each member."""
    from jaxsac.inspection.inspect import TITLES

    members = found.members[:MOST_COLUMNS]
    steps = dict.fromkeys(f"{member.step:,}" for member in members)
    # No markup: a directory may have brackets in its name.
    drawn = Table(title=Text(f"{found.env}: inside {found.run.name}, step {', '.join(steps)}"))
    drawn.add_column("subject")
    drawn.add_column("what")
    for member in members:
        drawn.add_column(member.name)
    points = {m.name.partition(",")[0]: labels.settings(m.point) for m in members if m.point}
    drawn.caption = "\n".join(f"{name}: {settings}" for name, settings in points.items())
    for subject, title in TITLES.items():
        each = [{c.name: c for c in member.sections[subject].checks} for member in members]
        names = list(dict.fromkeys(name for checks in each for name in checks))
        shown = [n for n in names if n == names[0] or any(c[n].bad for c in each if n in c)]
        for name in shown or [""]:
            heading = title if not shown or name == shown[0] else ""
            drawn.add_row(heading, name or "left out", *(_cell(c.get(name)) for c in each))
    return drawn


def _cell(check: Any) -> Text:
    if check is None:
        return Text("-")
    return Text(f"! {check.value}", "red") if check.bad else Text(check.value)
