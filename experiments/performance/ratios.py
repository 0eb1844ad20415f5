"""Rows of the benchmark over each other: `python ratios.py` prints the table of the README."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

from paths import RESULTS

MACHINES = {"AVX-512, AMX": RESULTS, "AVX2": RESULTS / "avx2"}
PRODUCTS, ONE, BLOCKS = "matrix products alone", "jaxsac, 1 seed", "jaxsac, 1 seed, blocks of 50"
UPDATE = "update alone"
TRAINING = "training on HalfCheetah-v4"
LIGHT = "training on a light environment in JAX"


class Ratio(NamedTuple):
    """A row over another one, each named by section and label."""

    label: str
    over: tuple[str, str]
    under: tuple[str, str]


RATIOS = (
    Ratio("update / its matrix products alone, a dispatch each", (UPDATE, "jaxsac"),
          (UPDATE, PRODUCTS)),
    Ratio("the same, 50 in a scan", (UPDATE, "jaxsac, 50 in a scan"), (UPDATE, PRODUCTS)),
    Ratio("update / SBX's", (UPDATE, "jaxsac"), (UPDATE, "SBX")),
    Ratio("training, 1 seed / its matrix products alone", (TRAINING, ONE), (UPDATE, PRODUCTS)),
    Ratio("training, 4 seeds / their matrix products alone", (TRAINING, "jaxsac, 4 seeds"),
          (UPDATE, PRODUCTS)),
    Ratio("training, 1 seed / SBX", (TRAINING, ONE), (TRAINING, "SBX")),
    Ratio("training, 1 seed / SBX in blocks of 50", (TRAINING, ONE),
          (TRAINING, "SBX, blocks of 50")),
    Ratio("training, 1 seed, both in blocks of 50", (TRAINING, BLOCKS),
          (TRAINING, "SBX, blocks of 50")),
    Ratio("training, 1 seed / SB3", (TRAINING, ONE), (TRAINING, "SB3")),
    Ratio("training, 1 seed / CleanRL", (TRAINING, ONE), (TRAINING, "CleanRL")),
    Ratio("training, 8 seeds together / SBX", (TRAINING, "jaxsac, 8 seeds"), (TRAINING, "SBX")),
    Ratio("training on Pendulum in JAX / rejax", (LIGHT, "jaxsac, Pendulum-v1"),
          (LIGHT, "rejax, Pendulum-v1")),
    Ratio("training on Pendulum in JAX / Brax on its inverted pendulum",
          (LIGHT, "jaxsac, Pendulum-v1"), (LIGHT, "Brax, inverted_pendulum")),
)  # fmt: skip


def main() -> None:
    """A column for each machine and number of cores; medians over medians."""
    columns = {
        f"{name}: {cores} core{'s' * (cores > 1)}": medians(folder, cores)
        for name, folder in MACHINES.items()
        for cores in (1, 2)
    }
    print(f"| ratio | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|")
    for ratio in RATIOS:
        cells = [f"{rates[ratio.over] / rates[ratio.under]:.2f}" for rates in columns.values()]
        print(f"| {ratio.label} | {' | '.join(cells)} |")
    for row in ("jaxsac, 8 seeds", "jaxsac, 8 seeds, blocks of 50"):
        cells = [""] * len(columns)
        for number, folder in enumerate(MACHINES.values()):
            twice = 2 * medians(folder, 1)[UPDATE, "jaxsac"]
            cells[2 * number + 1] = f"{medians(folder, 2)[TRAINING, row] / twice:.2f}"
        print(f"| training, {row} / twice the update alone on 1 core | {' | '.join(cells)} |")


def medians(results: Path, cores: int) -> dict[tuple[str, str], float]:
    """Updates a second of each row that was measured, by section and label."""
    with (results / "table.csv").open(newline="") as file:
        return {
            (line["section"], line["row"]): float(line["rate_median"])
            for line in csv.DictReader(file)
            if line["rate_median"] and int(line["cores"]) == cores
        }


if __name__ == "__main__":
    main()
