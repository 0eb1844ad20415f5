"""Observations normalized and as they are: `python normalization.py --env Hopper-v4`.

The runs without are `total` of ../actor_gradient; this trains the same once more with
`--normalize-observations`, writes the evaluations to `results/<env>/` and draws both.
`--env Units` trains both, on Pendulum-v1 in other units.
"""

from __future__ import annotations

import csv
import dataclasses
import shutil
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tyro
from gymnasium.wrappers import TransformObservation
from matplotlib.figure import Figure
from rich.console import Console

from jaxsac.runs import metrics
from jaxsac.runs import train as runner
from jaxsac.runs.compilation_cache import keep_compiled_programs
from jaxsac.runs.config import RunConfig
from jaxsac.runs.directory import RunDirectory
from jaxsac.runs.display import Display

sys.path.append(str(Path(__file__).parents[1]))

from statistics_of_seeds import interval

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
        directory, config = study.directory(variant), study.config(variant)
        with Display(config, Console()) as display:
            display.message(f"{study.env}: normalization {variant}, in {directory}")
            if not runner.train(config, directory, display):
                raise SystemExit(130)


def store(run: RunDirectory, folder: Path) -> None:
    """Copies the evaluations of a run, with its manifest beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    config = run.config()
    with (folder / "returns.csv").open("w", newline="") as lines:
        names: list[str] = ["seed", "step", "eval_return", "train_return", "entropy", "alpha"]
        writer = csv.DictWriter(lines, names, lineterminator="\n")
        writer.writeheader()
        for seed, name in zip(config.member_seeds, config.member_names, strict=True):
            for row in metrics.read(metrics.path(run.metrics, name)):
                if row["eval_return"] is not None:
                    own = {"seed": seed, "step": int(row["step"] or 0)}
                    writer.writerow(own | {column: row[column] for column in names[2:]})
    shutil.copy(run.manifest, folder)


def curves(folder: Path) -> dict[int, np.ndarray]:
    """By seed: (evaluations, 2) of step and mean return."""
    points = defaultdict(list)
    with (folder / "returns.csv").open() as lines:
        for row in csv.DictReader(lines):
            points[int(row["seed"])].append((float(row["step"]), float(row["eval_return"])))
    return {seed: np.array(curve) for seed, curve in points.items()}


def draw(env: str) -> None:
    """Both mean returns over the seeds that they share, and the table's row."""
    off = RESULTS / env / "off" if env == "Units" else STUDY / env / "total" / "seed-0000"
    both = {"as they are": curves(off), "normalized": curves(RESULTS / env / "on")}
    seeds = sorted(set.intersection(*map(set, both.values())))
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axes = figure.subplots()
    values = {}
    for number, (label, runs) in enumerate(both.items()):
        steps = runs[seeds[0]][:, 0]
        values[label] = np.stack([runs[seed][:, 1] for seed in seeds])
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
            store(RunDirectory(study.directory(variant)), RESULTS / study.env / variant)
    draw(study.env)


if __name__ == "__main__":
    main(tyro.cli(Study))
