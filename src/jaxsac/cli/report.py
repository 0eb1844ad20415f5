"""`jaxsac report`: from runs to an answer."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import tyro


@dataclasses.dataclass(frozen=True)
class Report:
    """Compare runs: curves, scores, and how sure it is that one is better than another."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories, finished or not, and directories of sweeps."""
    output: Path | None = None
    """Directory to write figures, tables and report.html to; by default report/ within the run, or
    runs/report-<hash of the runs> of several."""
    reference: bool = False
    """Draw published curves beside them, where there are any (HalfCheetah-v4, Hopper-v4 and
    Walker2d-v4)."""

    def run(self) -> int:
        """Writes the report and prints what comes out."""
        from jaxsac.reports.report import report
        from jaxsac.reports.sentences import answers

        numbers = report(self.runs, self.output, self.reference)
        for line in [*answers(numbers), *numbers.notes]:
            print(line)
        print(f"report: {numbers.directory / 'report.html'}")
        return 0
