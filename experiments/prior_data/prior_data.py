"""Transitions of a trained policy as prior data, and without: `python prior_data.py`.

Trains a policy, lets it act for `rows` transitions, records them, and trains the same seeds with
them and without. The evaluations go to `results/<env>/`, and are drawn from there.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from matplotlib.figure import Figure

from jaxsac.runs import record
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.metrics import metrics
from jaxsac.runs.process.compilation_cache import keep_compiled_programs
from jaxsac.runs.settings.config import RunConfig
from jaxsac.runs.settings.settings import of_keywords
from jaxsac.sac.config import Config

sys.path.append(str(Path(__file__).parents[1]))

import study_runs
from statistics_of_seeds import interval
from study_runs import curves, finish

RESULTS = Path(__file__).parent / "results"
VARIANTS = {"without": "without prior data", "with": "with prior data, half of every batch"}
EXPERT = 1000
"""Seed of the policy that the data is of; none of those that are compared."""
SETTINGS_OF_EXPERT: dict[str, Any] = {"preset": "crossq", "critic_hidden_sizes": (256, 256)}
"""The row of experiments/family with the best return for its operations; what is compared has the
defaults."""


@dataclasses.dataclass(frozen=True)
class Study:
    """What prior data does in one environment, all other settings alike."""

    env: str = "HalfCheetah-v4"
    """A Gymnasium id."""
    rows: int = 20_000
    """Transitions of the trained policy."""
    expert_steps: int = 50_000
    """Transitions that it was trained for."""
    seeds: int = 4
    """That are compared."""
    steps: int = 20_000
    """Transitions that each of them is trained for."""
    learning_starts: int = 5_000
    """Of those that act uniformly at first."""
    layer_norm: bool = False
    """LayerNorm in the critics of those that are compared, as RLPD has it."""
    runs: Path = Path("runs/prior_data")
    """Where the run directories lie; a run that was stopped resumes."""
    results: Path = RESULTS
    """Where the evaluations and the figure go."""
    draw_only: bool = False
    """Draw what is stored, without training."""

    @property
    def prior(self) -> Path:
        """The recorded transitions."""
        return self.directory("collect") / "replay.npz"

    def directory(self, run: str) -> Path:
        """Where a run lies; the policy that acts for the data is the same for all."""
        return self.runs / (self.name if run in VARIANTS else self.env) / run

    @property
    def name(self) -> str:
        """Of the folder of what is compared."""
        return self.env + "-layer_norm" * self.layer_norm

    def config(self, run: str) -> RunConfig:
        """The settings of a run: "expert", "collect", "without" or "with"."""
        if run == "expert":
            return of_keywords(self.env, **SETTINGS_OF_EXPERT, seed=EXPERT, steps=self.expert_steps)
        if run == "collect":
            # A warm-up by the expert's policy that ends before the first update.
            return of_keywords(
                self.env,
                **SETTINGS_OF_EXPERT,
                seed=EXPERT + 1,
                steps=self.rows,
                learning_starts=self.rows,
                init_from=str(self.directory("expert")),
                eval_every=0,
            )
        return RunConfig(
            self.env,
            seeds=self.seeds,
            steps=self.steps,
            learning_starts=self.learning_starts,
            eval_every=max(self.steps // 20, 1),
            prior_data=str(self.prior) if run == "with" else None,
            agent=Config(critic_normalization="layer" if self.layer_norm else None),
        )


def train(study: Study) -> None:
    """Trains, or resumes where it was; SIGINT and SIGTERM end the program."""
    for run in ("expert", "collect", *VARIANTS):
        directory = study.directory(run)
        finish(study.config(run), directory, f"{study.env}, {run}")
        if run == "collect" and not study.prior.exists():
            record.record(directory)


def store(study: Study) -> None:
    """Copies the evaluations and the manifests, and what the prior data is worth."""
    for variant in VARIANTS:
        study_runs.store(
            RunDirectory(study.directory(variant)), study.results / study.name / variant
        )
    collected = RunDirectory(study.directory("collect"))
    (name,) = collected.config().member_names
    rows = [
        (row["train_episodes"], row["train_return"])
        for row in metrics.read(metrics.path(collected.metrics, name))
        if row["train_return"] is not None
    ]
    manifest = json.loads(RunDirectory(study.directory("with")).manifest.read_text())
    counts, returns = np.array(rows).T
    facts = {**manifest["prior_data"], "mean_return": float(np.average(returns, weights=counts))}
    (study.results / study.name / "prior.json").write_text(f"{json.dumps(facts, indent=2)}\n")


def draw(study: Study) -> None:
    """Both means over the seeds, and the lines of the README's table."""
    folder = study.results / study.name
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axes = figure.subplots()
    for number, (variant, label) in enumerate(VARIANTS.items()):
        steps, of_seeds = curves(folder / variant / "returns.csv")
        returns = np.stack(list(of_seeds.values()))
        mean, half = interval(returns)
        axes.plot(steps, mean, color=f"C{number}", label=f"{label}, {len(returns)} seeds")
        axes.fill_between(
            steps, mean - half, mean + half, color=f"C{number}", alpha=0.15, linewidth=0
        )
        over, last = interval(returns.mean(axis=1)), interval(returns[:, -1])
        cells = [f"{center:,.0f} ± {width:,.0f}" for center, width in (over, last)]
        print(f"| {study.name}, {variant} | {' | '.join(cells)} |")
    prior = json.loads((folder / "prior.json").read_text())
    axes.axhline(
        prior["mean_return"],
        color="0.4",
        linestyle="--",
        linewidth=1,
        label=f"the policy of the {prior['rows']:,} transitions",
    )
    axes.set(
        title=f"{study.name}: return, mean and 95 % interval over seeds",
        xlabel="environment steps",
        ylabel="return",
    )
    axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", frameon=False)
    figure.savefig(folder / "returns.png", dpi=120)


def main(study: Study) -> None:
    """Trains, writes and draws."""
    if not study.draw_only:
        keep_compiled_programs()
        train(study)
        store(study)
    draw(study)


if __name__ == "__main__":
    main(tyro.cli(Study))
