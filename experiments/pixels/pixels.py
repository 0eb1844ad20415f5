"""Learns two reaching tasks from pixels: `python pixels.py` trains, stores and draws."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import jax
import tyro
from matplotlib.figure import Figure
from reach import Reach, ReachByFeel, best_return

import jaxsac

RESULTS = Path(__file__).parent / "results"
TASKS = {"image": Reach, "image_and_vector": ReachByFeel}
TITLES = {"image": "hand and target in the image", "image_and_vector": "target seen, hand felt"}


def main(
    steps: int = 10_000, seeds: int = 2, runs: Path = Path("runs/pixels"), draw_only: bool = False
) -> None:
    """Trains both tasks, resuming what was stopped, and draws their curves.

    Args:
      steps: of each seed.
      seeds: trained together.
      runs: where the run directories lie.
      draw_only: draw what is stored.
    """
    for name, task in {} if draw_only else TASKS.items():
        start = time.monotonic()
        run = jaxsac.train(
            task, directory=runs / name, seeds=seeds, steps=steps, learning_starts=500,
            batch_size=64, replay_capacity=10_000, gamma=0.9, actor_lr=1e-3, critic_lr=1e-3,
            alpha_lr=1e-3, initial_alpha=0.1, eval_every=500, eval_episodes=20, log_every=500,
        )  # fmt: skip
        print(f"{name}: {time.monotonic() - start:.0f} s")
        if not run.complete:
            raise SystemExit(130)
        RESULTS.mkdir(exist_ok=True)
        with (RESULTS / f"{name}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("step", *(f"seed_{seed}" for seed in range(seeds))))
            for step, values in zip(run.returns.steps, run.returns.values.T, strict=True):
                rows.writerow((step, *values.round(3)))
    draw()


def draw() -> None:
    """The curves of both tasks, beside the best that can be had."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    best = best_return(jax.random.key(0), 2_000)
    for axes, (name, title) in zip(panels, TITLES.items(), strict=True):
        with (RESULTS / f"{name}.csv").open(newline="") as file:
            rows = [[float(cell) for cell in row] for row in list(csv.reader(file))[1:]]
        for column in range(1, len(rows[0])):
            axes.plot([row[0] for row in rows], [row[column] for row in rows], color="C0", lw=1.2)
        axes.axhline(best, color="0.5", ls=":")
        axes.annotate(f"straight to it: {best:.1f}", (rows[0][0], best), (0, 3), fontsize="small",
                      color="0.4", textcoords="offset points")  # fmt: skip
        axes.set_title(title, loc="left", fontsize="medium")
        axes.set_xlabel("steps of each seed")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("return of an episode of 25 steps")
    figure.savefig(RESULTS / "curves.png", dpi=130)


if __name__ == "__main__":
    tyro.cli(main)
