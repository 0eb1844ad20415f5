"""Observations normalized and as they are: `python normalization.py --env Hopper-v4`.

The runs without are `total` of ../actor_gradient; this trains the same once more with
`--normalize-observations`, writes the evaluations to `results/<env>/` and draws both.
`--env Units` trains both, on Pendulum-v1 in other units.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tyro
from gymnasium.wrappers import TransformObservation
from matplotlib.figure import Figure

from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.process.compilation_cache import keep_compiled_programs
from jaxsac.runs.settings.config import RunConfig

sys.path.append(str(Path(__file__).parents[1]))

from statistics_of_seeds import interval
from study_runs import curves, finish, store

HERE = Path(__file__).parent
RESULTS = HERE / "results"
STUDY = HERE.parent / "actor_gradient" / "results"
UNITS = 100.0
"""Of Pendulum's angular velocity, in `--env Units`: hundredths of a radian a second."""


@dataclasses.dataclass(frozen=True)
class Study:
    """What normalization of observations does in one environment, all other settings alike."""

    env: str = "Pendulum-v1"
    """Pendulum-v1, HalfCheetah-v4, Hopper-v4, or Units: Pendulum-v1 with its velocity times 100."""
    runs: Path = Path("runs/normalization")
    """Where the run directories lie; a run that was stopped resumes."""
    draw_only: bool = False
    """Draw what is stored, without training."""

    @property
    def variants(self) -> tuple[str, ...]:
        """What is trained here: "on", and "off" where no other experiment has stored it."""
        return ("on", "off") if self.env == "Units" else ("on",)

    def config(self, variant: str) -> RunConfig:
        """The run of the study of gradients with the default estimator, but for one option."""
        known = "Pendulum-v1" if self.env == "Units" else self.env
        stored = RunDirectory(STUDY / known / "total" / "seed-0000").config()
        return dataclasses.replace(
            stored,
            env=other_units() if self.env == "Units" else stored.env,
            normalize_observations=variant == "on",
        )

    def directory(self, variant: str) -> Path:
        """Where a run lies."""
        return self.runs / self.env / variant


def other_units() -> str:
    """The id of Pendulum-v1 whose third observation, the angular velocity, is `UNITS` times it."""

    def make(**options: Any) -> gymnasium.Env:
        scale = np.array([1, 1, UNITS], np.float32)
        bound = np.array([1, 1, 8], np.float32) * scale
        env = gymnasium.make("Pendulum-v1", **options)
        return TransformObservation(env, lambda x: x * scale, gymnasium.spaces.Box(-bound, bound))

    name = "PendulumInOtherUnits"
    if name not in gymnasium.registry:
        gymnasium.register(name, make)
    return name


def train(study: Study) -> None:
    """Trains, or resumes where it was; SIGINT and SIGTERM end the program."""
    for variant in study.variants:
        title = f"{study.env}, normalization {variant}"
        finish(study.config(variant), study.directory(variant), title)


def draw(env: str) -> None:
    """Both mean returns over the seeds that they share, and the table's row."""
    off = RESULTS / env / "off" if env == "Units" else STUDY / env / "total" / "seed-0000"
    folders = {"as they are": off, "normalized": RESULTS / env / "on"}
    both = {label: curves(folder / "returns.csv") for label, folder in folders.items()}
    seeds = sorted(set.intersection(*(set(of_seeds) for _, of_seeds in both.values())))
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axes = figure.subplots()
    values = {}
    for number, (label, (steps, of_seeds)) in enumerate(both.items()):
        values[label] = np.stack([of_seeds[seed] for seed in seeds])
        mean, half = interval(values[label])
        axes.plot(
            steps, mean, color=f"C{number}", label=f"observations {label}, {len(seeds)} seeds"
        )
        axes.fill_between(
            steps, mean - half, mean + half, color=f"C{number}", alpha=0.15, linewidth=0
        )
    over_curve = {label: returns.mean(1) for label, returns in values.items()}
    differences = over_curve["normalized"] - over_curve["as they are"]
    cells = [interval(x) for x in (*over_curve.values(), differences)]
    print(f"| {env} | " + " | ".join(f"{mean:,.0f} ± {half:,.0f}" for mean, half in cells) + " |")
    axes.set(
        title=f"{env}: evaluation return, mean and 95 % interval over seeds",
        xlabel="environment steps",
        ylabel="return",
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(RESULTS / env / "returns.png", dpi=120)


def main(study: Study) -> None:
    """Trains, writes and draws."""
    if not study.draw_only:
        keep_compiled_programs()
        train(study)
        for variant in study.variants:
            run, folder = RunDirectory(study.directory(variant)), RESULTS / study.env / variant
            store(run, folder, ("train_return", "entropy", "alpha"))
    draw(study.env)


if __name__ == "__main__":
    main(tyro.cli(Study))
