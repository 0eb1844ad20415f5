"""The study's figures, from its stored tables: `python figures.py results/Pendulum-v1`."""

from __future__ import annotations

from pathlib import Path

import tyro


def draw(results: Path) -> None:
    """Draws."""


if __name__ == "__main__":
    tyro.cli(draw)
