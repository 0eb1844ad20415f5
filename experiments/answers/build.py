"""The report and the inspect page of two stored runs: `python build.py`.

Nothing is trained or measured: the report is computed from the metrics in `runs/`, the page of the
inspection is made from `inspect.json`.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path

import tyro

from jaxsac.inspection import read, write
from jaxsac.reports.report import report

HERE = Path(__file__).parent
RUNS = (HERE / "runs" / "crossq_256", HERE / "runs" / "learning_rates_1e-3")
PAGES = ("report.html", "inspect.html")
"""With all figures in them; made here and not stored."""
FIGURES = (
    "learning-curves-HalfCheetah-v4.png",
    "scores-HalfCheetah-v4.png",
    "values.png",
    "gradient-terms.png",
)
"""Those that README.md shows."""


@dataclasses.dataclass(frozen=True)
class Build:
    """Makes both pages from what is stored here."""

    output: Path = HERE / "pages"
    """Directory to write them to."""


def build(output: Path) -> None:
    """Writes the pages and their figures to a directory, over older ones."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        report(RUNS, made, reference=True)
        write.write(read.read(HERE / "inspect.json")._replace(directory=Path(made)))
        for name in (*PAGES, *FIGURES):
            shutil.copyfile(Path(made) / name, output / name)


if __name__ == "__main__":
    arguments = tyro.cli(Build)
    build(arguments.output)
    for name in PAGES:
        print(arguments.output / name)
