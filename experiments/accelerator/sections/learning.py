"""Learning curves of HalfCheetah-v4, as many steps as fit into the time.

In TF32 and in float32 beside each other, each in a process of its own: the environments are what
they wait for, and the card has room for both.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from section import REHEARSE, RESULTS, ROWS, attempt, leave, left, row, wait_for_card  # isort: skip
from jaxsac import train

SEEDS = 2 if REHEARSE else 10
ENV = "HalfCheetah-v4"
if importlib.util.find_spec("envpool"):
    ENV = f"envpool:{ENV}"
BLOCKS = {"update_every": 50}
PRECISION = os.environ.get("JAX_DEFAULT_MATMUL_PRECISION", "default")
FLOAT32 = {"JAX_DEFAULT_MATMUL_PRECISION": "float32", "XLA_FLAGS": "--xla_gpu_autotune_level=0"}
"""Its products are not tuned, which would take ten seconds for each shape."""
AT_THE_END = 2 if REHEARSE else 12
"""Seconds to save and to close."""


def main() -> None:
    """Trains until the share is over; the metrics of all seeds are kept."""
    wait_for_card()
    beside = None
    if PRECISION == "default":
        beside = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=ROWS.fileno(), text=True,
            env=os.environ | FLOAT32,
        )  # fmt: skip
        print(left(), file=beside.stdin, flush=True)
    attempt(ENV, learn, "learning", seeds=SEEDS)
    if beside:
        beside.wait()


def learn(name: str, **settings) -> None:
    """Rows of returns, and a table of the metrics; updates in blocks, if nothing else is said."""
    env, seeds = ENV, SEEDS
    tiny = {"learning_starts": 100, "batch_size": 8, "hidden_sizes": (16, 16), "steps": 200}
    usual = {
        "steps": 1_000_000, "eval_every": 20_000, "eval_episodes": 1,
        "checkpoint_every": 0, "keep_replay": False, "replay_capacity": 300_000,
        "env_workers": SEEDS, **(settings or BLOCKS), **(tiny if REHEARSE else {}),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        run = train(
            env, seeds=seeds, directory=folder, progress=False,
            on_row=lambda each: left() < AT_THE_END and not REHEARSE, **usual,
        )  # fmt: skip
        metrics = run.metrics
        keep(metrics, RESULTS / f"{name}-{PRECISION}.csv")
        step, seconds = int(metrics["step"].max()), float(metrics["wall_time"].max())
        row(env, step, "steps", seeds, PRECISION)
        row(env, seeds * step / seconds, "seed-steps/s, evaluation included", seeds, PRECISION)
        for at, values in zip(run.returns.steps, run.returns.values.T, strict=True):
            each = str(values.round().tolist())
            row(f"return at {at:,}", float(values.mean()), "", seeds, PRECISION, each)


def keep(metrics, file: Path) -> None:
    """Stores the columns that a figure needs."""
    names = ("seed", "step", "wall_time", "train_return", "eval_return", "alpha", "q_mean")
    lines = zip(*(metrics[name] for name in names), strict=True)
    file.write_text("\n".join(",".join(map(str, line)) for line in (names, *lines)) + "\n")


if __name__ == "__main__":
    leave(main)
