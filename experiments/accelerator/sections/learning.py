"""Learning curves of HalfCheetah-v4, as many steps as fit into the time."""

from __future__ import annotations

import tempfile
from pathlib import Path

from section import REHEARSE, RESULTS, attempt, leave, left, row, wait_for_card  # isort: skip
from jaxsac import train

SEEDS = 2 if REHEARSE else 4
AT_THE_END = 2 if REHEARSE else 12
"""Seconds to save and to close."""


def main() -> None:
    """Trains until the share is over; the metrics of all seeds are kept."""
    wait_for_card()
    attempt("HalfCheetah-v4", learn, "HalfCheetah-v4", "learning", SEEDS, seeds=SEEDS)


def learn(env: str, name: str, seeds: int, **settings) -> None:
    """Rows of returns, and a table of the metrics."""
    tiny = {"learning_starts": 100, "batch_size": 8, "hidden_sizes": (16, 16), "steps": 200}
    usual = {
        "steps": 1_000_000, "update_every": 50, "eval_every": 25_000, "eval_episodes": 2,
        "checkpoint_every": 0, "keep_replay": False, "replay_capacity": 300_000,
        **(tiny if REHEARSE else {}), **settings,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        run = train(
            env, seeds=seeds, directory=folder, progress=False,
            on_row=lambda each: left() < AT_THE_END and not REHEARSE, **usual,
        )  # fmt: skip
        metrics = run.metrics
        keep(metrics, RESULTS / f"{name}.csv")
        step, seconds = int(metrics["step"].max()), float(metrics["wall_time"].max())
        row(env, step, "steps", seeds)
        row(env, seeds * step / seconds, "seed-steps/s, evaluation included", seeds)
        for at, values in zip(run.returns.steps, run.returns.values.T, strict=True):
            row(f"return at {at:,}", float(values.mean()), "", seeds, str(values.round().tolist()))


def keep(metrics, file: Path) -> None:
    """Stores the columns that a figure needs."""
    names = ("seed", "step", "wall_time", "train_return", "eval_return", "alpha", "q_mean")
    lines = zip(*(metrics[name] for name in names), strict=True)
    file.write_text("\n".join(",".join(map(str, line)) for line in (names, *lines)) + "\n")


if __name__ == "__main__":
    leave(main)
