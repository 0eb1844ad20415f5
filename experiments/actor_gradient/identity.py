"""The identity at five levels: `python identity.py` prints the table and draws the figure."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import jax
import levels
from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Compares, writes `results/identity.csv`, and draws `results/mistake.png`.

    Returns:
      1 if a deviation is above its tolerance.
    """
    with jax.enable_x64(True):
        mistake = levels.mistake()
        rows = [
            *levels.gaussian(),
            *levels.network(),
            *levels.common_mistake(mistake),
            *levels.kl_form(),
            *levels.enumeration(),
        ]
    width = max(len(row.compared) for row in rows)
    print(f"level  {'compared':{width}}  deviation  tolerance")
    for row in rows:
        verdict = "" if row.holds else "  FAILS"
        print(
            f"{row.level:5}  {row.compared:{width}}  {row.deviation:9.1e}  "
            f"{row.tolerance:9.1e}{verdict}"
        )
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / "identity.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(levels.Row._fields)
        writer.writerows(
            (r.level, r.compared, f"{r.deviation:.2e}", f"{r.tolerance:.2e}") for r in rows
        )
    draw(mistake)
    return int(not all(row.holds for row in rows))


def draw(mistake: levels.Mistake) -> None:
    """The distance of the two means over the number of samples, on the law that it follows."""
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.loglog(
        mistake.counts,
        mistake.predicted,
        color="0.5",
        label=r"closed form: $\sqrt{E\|\mathrm{score}\|^2/n}$",
    )
    axes.loglog(mistake.counts, mistake.distance, "o", color="C0", label="measured")
    axes.axhline(1, color="0.7", linestyle=":")
    axes.text(mistake.counts[-1], 1.15, "as large as the gradient itself", ha="right", color="0.4")
    axes.set(
        title="Leaving out the score term: wrong by sample, right in the mean",
        xlabel="samples of ε, n",
        ylabel=r"$\|\mathrm{mean\ path} - \mathrm{mean\ total}\|\ /\ \|E\,\mathrm{total}\|$",
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower left")
    figure.savefig(RESULTS / "mistake.png", dpi=130)


if __name__ == "__main__":
    sys.exit(main())
