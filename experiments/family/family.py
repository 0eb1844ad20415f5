"""SAC's family on one environment: `python family.py flashsac_64` trains and stores one row.

`python family.py` draws what is stored, beside published curves, and prints the table.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

import jaxsac
from jaxsac.runs.directory import RunDirectory

sys.path.append(str(Path(__file__).parents[1]))

from study_runs import curves, store

HERE = Path(__file__).parent
RESULTS = HERE / "results"
ELSEWHERE = {
    "HalfCheetah-v4": {
        "plain": HERE.parent / "halfcheetah" / "results",
        "observation_scale": HERE.parent / "normalization" / "results" / "HalfCheetah-v4" / "on",
    }
}
"""Rows that other experiments have trained and stored."""
LONGEST = 100_000
"""Steps that are drawn."""
IN_TABLE = (20_000, 30_000, 40_000, 50_000, 60_000, 80_000, LONGEST)
FAST = {"actor_lr": 1e-3, "critic_lr": 1e-3, "alpha_lr": 1e-3}
ROWS: dict[str, dict[str, Any]] = {
    "plain": {},
    "plain_lr": FAST,
    "plain_starts": {"learning_starts": 5_000},
    "plain_lr_starts": {**FAST, "learning_starts": 5_000},
    "plain_log_std": {"log_std_min": -20.0},
    "observation_scale": {"normalize_observations": True},
    "layer_norm": {"critic_normalization": "layer"},
    "n_step": {"n_step": 3},
    "crossq_256": {"preset": "crossq", "critic_hidden_sizes": (256, 256)},
    "crossq_512": {"preset": "crossq", "critic_hidden_sizes": (512, 512)},
    "flashsac_64": {
        "preset": "flashsac", "critic_hidden_sizes": (64, 64), "actor_hidden_sizes": (32, 32),
        "batch_size": 256,
    },
    "flashsac_128": {
        "preset": "flashsac", "critic_hidden_sizes": (128, 128), "actor_hidden_sizes": (64, 64),
        "batch_size": 256,
    },
    "flashsac": {"preset": "flashsac"},
}  # fmt: skip
"""Settings in which a row differs from plain SAC, by its name."""
Name = Literal[
    "plain", "plain_lr", "plain_starts", "plain_lr_starts", "plain_log_std", "observation_scale",
    "layer_norm", "n_step", "crossq_256", "crossq_512", "flashsac_64", "flashsac_128", "flashsac",
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Study:
    """Trains rows of the study, or draws what is stored."""

    rows: tyro.conf.Positional[tuple[Name, ...]] = ()
    """What to train; resumes where it was stopped. None: draw."""
    env: str = "HalfCheetah-v4"
    """Environment."""
    seeds: int = 3
    """Seeds of each row."""
    steps: int = 100_000
    """Transitions per seed."""
    runs: Path = Path("runs/family")
    """Where the run directories lie."""


def train(study: Study, name: Name) -> None:
    """Trains a row and stores its evaluations; Ctrl-C ends the program."""
    run = jaxsac.train(
        study.env, directory=study.runs / study.env / name, seeds=study.seeds, steps=study.steps,
        replay_capacity=max(study.steps, 100_000), checkpoint_every=10_000, **ROWS[name],
    )  # fmt: skip
    store(RunDirectory(run.directory), RESULTS / study.env / name)
    if not run.complete:
        raise SystemExit(130)


def draw(env: str) -> None:
    """Mean returns with their range over seeds, and a table of them."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    stored = dict(ELSEWHERE.get(env, {}))
    stored |= {folder.name: folder for folder in sorted((RESULTS / env).glob("*/"))}
    heads = ["row", "seeds", *(f"{step // 1000}k" for step in IN_TABLE)]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for number, (name, folder) in enumerate(stored.items()):
        steps, of_seeds = curves(folder / "returns.csv")
        values = np.stack(list(of_seeds.values()))
        shown = steps <= LONGEST
        steps, values = steps[shown], values[:, shown]
        axes.plot(steps, values.mean(0), color=f"C{number}", label=f"{name}, {len(values)} seeds")
        axes.fill_between(
            steps, values.min(0), values.max(0), color=f"C{number}", alpha=0.15, linewidth=0
        )
        cells = []
        for step in IN_TABLE:
            at = values[:, steps == step]
            cells.append(f"{at.mean():,.0f} ± {at.std():,.0f}" if at.size else "")
        print(f"| {name} | {len(values)} | " + " | ".join(cells) + " |")
    steps, of_seeds = curves(HERE / "published.csv", "return", env=env)
    values = np.stack(list(of_seeds.values()))
    shown = (steps > 0) & (steps <= LONGEST)
    axes.plot(
        steps[shown], values.mean(0)[shown], "k*",
        label=f"FlashSAC at full size, published, {len(values)} seeds",
    )  # fmt: skip
    axes.set(
        title=f"{env}: evaluation return, mean and range over seeds",
        xlabel="environment steps", ylabel="return",
    )  # fmt: skip
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(RESULTS / env / "returns.png", dpi=120)


def main(study: Study) -> None:
    """Trains, stores and draws."""
    for name in study.rows:
        train(study, name)
    draw(study.env)


if __name__ == "__main__":
    main(tyro.cli(Study))
