# pyright: reportMissingImports=false
"""Computes losses by the packages themselves and compares jaxsac's presets: `make conventions`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import case
import compare
import tyro
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "performance"))

from venvs import python_of  # noqa: E402  the same environments as the benchmark's


def main(stored: bool = False) -> int:
    """Computes losses by the packages themselves and compares jaxsac's presets.

    Args:
      stored: compare with the stored results instead of computing them anew.

    Returns:
      1 if a difference is above 1e-5.
    """
    console = Console()
    if not stored:
        for peer in compare.PACKAGES:
            with console.status(f"{peer}: installing if need be, and computing"):
                compute(peer, f"measure_{peer}.py")
        with console.status("sbx: the family"):
            compute("sbx", "measure_sbx_family.py")
    found = list(compare.rows())
    console.print(table_of(found))
    for peer in compare.PACKAGES:
        versions = case.read(peer)["versions"].items()
        console.print(f"{peer}: {', '.join(f'{name} {version}' for name, version in versions)}")
    return int(any(row.deviation > compare.TOLERANCE for row in found))


def table_of(rows: Sequence[compare.Row]) -> Table:
    """The largest difference of each loss, and of all gradients and parameters."""
    columns = {
        "critic loss": ("critic_loss",),
        "actor loss": ("actor_loss",),
        "α loss": ("alpha_loss",),
        "gradients": case.GRADIENTS,
        "statistics": ("statistics",),
        "parameters after an update": compare.PARAMETERS,
    }
    table = Table("preset", "against", *columns)
    for peer, setting in dict.fromkeys((row.peer, row.setting) for row in rows):
        here = {r.quantity: r.deviation for r in rows if (r.peer, r.setting) == (peer, setting)}
        cells = []
        for quantities in columns.values():
            found = [here[name] for name in quantities if name in here]
            color = "red" if found and max(found) > compare.TOLERANCE else "green"
            cells.append(f"[{color}]{max(found):.0e}[/]" if found else "")
        table.add_row(peer, setting, *cells)
    return table


def compute(peer: str, script: str) -> None:
    """Runs a script in the peer's own virtual environment."""
    command = [python_of(peer), HERE / script]
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True)
    if finished.returncode:
        raise RuntimeError(f"{peer} could not be measured:\n{finished.stderr}")


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
