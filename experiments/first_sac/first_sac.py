"""SAC as first published beside today's: `python first_sac.py --env Pendulum-v1 --steps 20000`.

Trains every variant, one after the other (a run that was stopped resumes), writes the evaluations
to `results/<env>/` and draws them.
"""

from __future__ import annotations

import csv
import dataclasses
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tyro
from gymnasium.wrappers import TransformReward
from matplotlib.figure import Figure

import jaxsac
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.process.compilation_cache import keep_compiled_programs
from jaxsac.runs.settings.config import RunConfig
from jaxsac.runs.settings.settings import file_name

sys.path.append(str(Path(__file__).parents[1]))

import study_runs
from statistics_of_seeds import interval
from study_runs import finish

RESULTS = Path(__file__).parent / "results"
REWARD_SCALE = 5.0
"""Of the first paper, for HalfCheetah and most of its other tasks."""
VALUE = jaxsac.Config(value_network=True)
FIXED = jaxsac.Hyperparameters(alpha_lr=0.0, initial_alpha=1 / REWARD_SCALE)
VARIANTS = {
    "v1": (VALUE, FIXED),
    "v2": (jaxsac.Config(), jaxsac.Hyperparameters()),
    "v1-scaled": (VALUE, FIXED.replace(initial_alpha=1.0)),
}
LABELS = {
    "v1": "v1: value network, α = 1/5",
    "v2": "v2: target critics, learned α",
    "v1-scaled": "v1: value network, rewards × 5, α = 1",
}
COLUMNS = ("variant", "seed", "step", "eval_return", "q_mean", "value_mean", "entropy", "alpha")
SHOWN = (3, 4, 9, 19)
"""Which of the 20 evaluations are printed."""


@dataclasses.dataclass(frozen=True)
class Study:
    """The first and the second SAC in one environment, all other settings alike."""

    env: str = "Pendulum-v1"
    """Gymnasium id."""
    steps: int = 20_000
    """Environment transitions per seed."""
    learning_starts: int = 1_000
    """Transitions by uniformly random actions before the first update, per seed."""
    seeds: int = 4
    """Number of seeds of every variant."""
    variants: tuple[str, ...] = tuple(VARIANTS)
    """What to train: v1, v2, v1-scaled (v1 by scaled rewards, as the paper has it)."""
    runs: Path = Path("runs/first_sac")
    """Where the run directories lie."""

    def config(self, variant: str) -> RunConfig:
        """The run of one variant."""
        agent, hyperparameters = VARIANTS[variant]
        return RunConfig(
            scaled(self.env) if variant == "v1-scaled" else self.env,
            seeds=self.seeds,
            steps=self.steps,
            learning_starts=self.learning_starts,
            replay_capacity=self.steps,
            eval_every=self.steps // 20,
            checkpoint_every=self.steps // 10,
            agent=agent,
            hyperparameters=hyperparameters,
        )

    def directory(self, variant: str) -> Path:
        """Where that run lies."""
        return self.runs / file_name(self.env) / variant


def scaled(env: str) -> str:
    """The id of the same environment with its rewards times REWARD_SCALE."""

    def make(**options: Any) -> gymnasium.Env:
        return TransformReward(
            gymnasium.make(env, **options), lambda reward: REWARD_SCALE * float(reward)
        )

    name = f"Scaled{env}"
    if name not in gymnasium.registry:
        gymnasium.register(name, make)
    return name


def train(study: Study) -> None:
    """Trains every variant, or resumes where it was; SIGINT and SIGTERM end the program."""
    for variant in study.variants:
        finish(study.config(variant), study.directory(variant), f"{study.env}, {variant}")


def evaluations(study: Study) -> Iterator[dict[str, Any]]:
    """Every evaluation of every variant and seed, returns in the environment's own units."""
    for variant in study.variants:
        scale = REWARD_SCALE if variant == "v1-scaled" else 1.0
        for row in study_runs.evaluations(RunDirectory(study.directory(variant))):
            yield {**row, "variant": variant, "eval_return": f"{row['eval_return'] / scale:.6g}"}


def draw(results: Path) -> None:
    """Every variant's mean return over seeds with a 95 % interval of Student's t; prints some."""
    curves = defaultdict(lambda: defaultdict(list))
    with (results / "returns.csv").open() as lines:
        for row in csv.DictReader(lines):
            curves[row["variant"]][int(row["step"])].append(float(row["eval_return"]))
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axes = figure.subplots()
    for variant, points in curves.items():
        steps, values = np.array(list(points)), np.array(list(points.values()))
        mean, half = interval(values.T)
        color = f"C{list(LABELS).index(variant)}"
        axes.plot(steps, mean, color=color, label=f"{LABELS[variant]}, {values.shape[1]} seeds")
        axes.fill_between(steps, mean - half, mean + half, color=color, alpha=0.13, linewidth=0)
        shown = [f"{steps[i]:,}: {mean[i]:,.1f} ± {half[i]:,.1f}" for i in SHOWN]
        late = values[steps > steps[-1] / 2].mean(0)
        print(f"{variant}, {', '.join(shown)}, second half by seed {late.round(1).tolist()}")
    axes.set(
        title=f"{results.name}: evaluation return, mean and 95 % interval over seeds",
        xlabel="environment steps",
        ylabel="return",
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(results / "returns.png", dpi=120)


def main(study: Study) -> None:
    """Trains, writes and draws."""
    keep_compiled_programs()
    train(study)
    results = RESULTS / file_name(study.env)
    results.mkdir(parents=True, exist_ok=True)
    study_runs.write_rows(results / "returns.csv", COLUMNS, evaluations(study))
    for variant in study.variants:
        shutil.copy(RunDirectory(study.directory(variant)).manifest, results / f"{variant}.json")
    draw(results)


if __name__ == "__main__":
    main(tyro.cli(Study))
