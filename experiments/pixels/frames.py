"""Learns to push a puck from one image, and from stacks of three: `python frames.py`."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import jax
import tyro
from matplotlib.figure import Figure
from puck import Puck, controller_return

import jaxsac

RESULTS = Path(__file__).parent / "results"
STACKS = (1, 3)


def main(
    steps: int = 5_000,
    seeds: int = 2,
    runs: Path = Path("runs/pixels"),
    stacks: tuple[int, ...] = STACKS,
    draw_only: bool = False,
) -> None:
    """Trains with each stack, resuming what was stopped, and draws the curves.

    Args:
      steps: of each seed.
      seeds: trained together.
      runs: where the run directories lie.
      stacks: images that the agent sees at once.
      draw_only: draw what is stored.
    """
    RESULTS.mkdir(exist_ok=True)
    for stack in () if draw_only else stacks:
        start = time.monotonic()
        run = jaxsac.train(
            Puck, directory=runs / f"puck_stack_{stack}", seeds=seeds, steps=steps,
            frame_stack=stack, learning_starts=500, batch_size=64, replay_capacity=10_000,
            gamma=0.9, actor_lr=1e-3, critic_lr=1e-3, alpha_lr=1e-3, initial_alpha=0.1,
            eval_every=500, eval_episodes=20, log_every=500,
        )  # fmt: skip
        print(f"stack of {stack}: {time.monotonic() - start:.0f} s")
        if not run.complete:
            raise SystemExit(130)
        with (RESULTS / f"puck_stack_{stack}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("step", *(f"seed_{seed}" for seed in range(seeds))))
            for step, values in zip(run.returns.steps, run.returns.values.T, strict=True):
                rows.writerow((step, *values.round(3)))
    draw()


def draw() -> None:
    """The curves, beside the best linear controllers with and without the puck's speed."""
    figure = Figure(figsize=(5.5, 3.4), layout="constrained")
    axes = figure.subplots()
    for stack, color in zip(STACKS, ("C1", "C0"), strict=True):
        with (RESULTS / f"puck_stack_{stack}.csv").open(newline="") as file:
            rows = [[float(cell) for cell in row] for row in list(csv.reader(file))[1:]]
        for column in range(1, len(rows[0])):
            label = f"frame_stack {stack}" if column == 1 else None
            curve = [row[column] for row in rows]
            axes.plot([row[0] for row in rows], curve, color=color, lw=1.2, label=label)
    for sees_speed, name in ((True, "with the speed"), (False, "without")):
        best = controller_return(jax.random.key(0), 500, sees_speed)
        axes.axhline(best, color="0.5", ls=":")
        axes.annotate(f"linear controller {name}: {best:.1f}", (rows[0][0], best), (0, 3),
                      fontsize="small", color="0.4", textcoords="offset points")  # fmt: skip
    axes.legend(frameon=False, loc="lower right", fontsize="small")
    axes.set_xlabel("steps of each seed")
    axes.set_ylabel("return of an episode of 25 steps")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(RESULTS / "frames.png", dpi=130)


if __name__ == "__main__":
    tyro.cli(main)
