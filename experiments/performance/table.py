"""The table of a run: collected, shown and stored."""

from __future__ import annotations

import csv
import dataclasses
import statistics
from collections.abc import Sequence
from pathlib import Path

from meter import Report
from rich import box
from rich.table import Table as RichTable
from rows import Row

COLUMNS: tuple[str, ...] = (
    "section", "row", "peer", "cores", "rate_median", "rate_min", "rate_max", "rounds",
    "import_seconds", "first_update_seconds", "peak_rss_mib", "note",
)  # fmt: skip
SHOWN = {
    "cores": "cores",
    "rate_median": "median",
    "rate_min": "min",
    "rate_max": "max",
    "import_seconds": "import",
    "first_update_seconds": "first",
    "peak_rss_mib": "MiB",
}
"""Columns of the table for a terminal, and their headings."""


@dataclasses.dataclass
class Measurement:
    """What is known of one row on one number of cores."""

    row: Row
    cores: int
    note: str = ""
    """Why it was not measured, or not to the end."""
    setup: Report | None = None
    """Of the first block, which ends with the first updates."""
    peak_rss_mib: float = 0.0
    rates: list[float] = dataclasses.field(default_factory=list)
    """Updates a second of each block, all seeds together."""

    def cells(self) -> dict[str, str | int]:
        """A line of the CSV; empty where nothing was measured."""
        cells: dict[str, str | int] = dict.fromkeys(COLUMNS, "")
        cells |= {"section": self.row.section, "row": self.row.label, "peer": self.row.peer}
        cells |= {"cores": self.cores, "rounds": len(self.rates), "note": self.note}
        if self.setup:
            cells["import_seconds"] = f"{self.setup.import_seconds:.1f}"
            cells["first_update_seconds"] = f"{self.setup.first_seconds:.1f}"
            cells["peak_rss_mib"] = f"{self.peak_rss_mib:.0f}"
        if self.rates:
            cells["rate_median"] = f"{statistics.median(self.rates):.1f}"
            cells["rate_min"] = f"{min(self.rates):.1f}"
            cells["rate_max"] = f"{max(self.rates):.1f}"
        return cells


def write(measurements: Sequence[Measurement], file: Path) -> None:
    """Stores the table as CSV."""
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, COLUMNS)
        writer.writeheader()
        writer.writerows(measurement.cells() for measurement in measurements)


def render(section: str, measurements: Sequence[Measurement]) -> RichTable:
    """The table of one section for a terminal, with what is missing, and why, below."""
    title = f"{section}\nupdates per second; seconds to import, to the first update; memory"
    table = RichTable(title=title, box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    table.add_column("", no_wrap=True)
    for heading in SHOWN.values():
        table.add_column(heading, justify="right", no_wrap=True)
    lines = [m.cells() for m in measurements]
    for cells in lines:
        table.add_row(str(cells["row"]), *(str(cells[column]) for column in SHOWN))
    notes = {f"{cells['row']}: {cells['note']}" for cells in lines if cells["note"]}
    table.caption = "\n".join(sorted(notes))
    return table
