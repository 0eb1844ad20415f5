"""SAC's family on one environment: `python family.py fast` trains and stores one row.

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
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.settings.settings import of_keywords
from jaxsac.sac import presets

sys.path.append(str(Path(__file__).parents[1]))


from cost import cost

from study_runs import curves, store

HERE = Path(__file__).parent
RESULTS = HERE / "results"
ELSEWHERE = {
    "HalfCheetah-v4": {
        "plain": HERE.parent / "halfcheetah" / "results",
        "observation_scale": HERE.parent / "normalization" / "results" / "HalfCheetah-v4" / "on",
    },
}
"""Rows that other experiments have trained and stored."""
PUBLISHED = {
    "HalfCheetah-v4": (
        ("plain SAC, jaxrl", 1.0, 5_715),
        ("plain SAC, SimbaV2", 1.0, 6_156),
        ("CrossQ", 49.9, 8_112),
        ("XQC", 26.7, 8_597),
        ("SimBa, 1 update", 44.9, 4_757),
        ("FlashSAC", 36.1, 9_815),
    )
}
"""Label, operations over those of plain SAC, and return at `LONGEST` steps; see the README."""
LABELS = {
    "plain SAC, jaxrl": (8, -11, "left"),
    "plain SAC, SimbaV2": (8, 1, "left"),
    "CrossQ": (8, -15, "center"),
}
"""Where a published point has its label, in points to the right and up, unless to its left."""
LONGEST = 100_000
"""Steps that are drawn."""
COLORS = 10
"""Of matplotlib; then they begin again."""
IN_TABLE = (20_000, 30_000, 40_000, 50_000, 60_000, 80_000, LONGEST)
FAST = {"actor_lr": 1e-3, "critic_lr": 1e-3, "alpha_lr": 1e-3}
CROSSQ = {"preset": "crossq", "critic_hidden_sizes": (256, 256)}
ROWS: dict[str, dict[str, Any]] = {
    "plain": {},
    "plain_lr": FAST,
    "plain_starts": {"learning_starts": 5_000},
    "plain_lr_starts": {**FAST, "learning_starts": 5_000},
    "plain_log_std": {"log_std_min": -20.0},
    "plain_last_layers": {"actor": "last_layers:Actor", "critic": "last_layers:Critic"},
    "observation_scale": {"normalize_observations": True},
    "layer_norm": {"critic_normalization": "layer"},
    "layer_norm_scale": {"critic_normalization": "layer", "normalize_observations": True},
    "n_step": {"n_step": 3},
    "crossq_256": CROSSQ,
    "crossq_512": {"preset": "crossq", "critic_hidden_sizes": (512, 512)},
    "crossq_256_entropy": {**CROSSQ, "target_entropy_scale": 0.5},
    "crossq_256_entropy_utd2": {**CROSSQ, "target_entropy_scale": 0.5, "utd": 2.0},
    "fast": {"preset": "fast"},
    "fast_blocks": {"preset": "fast", "update_every": 50},
    "fast_one_block": {
        "preset": "fast", "critic_hidden_sizes": (64,), "actor_hidden_sizes": (32,),
    },
    "flashsac_128": {
        "preset": "flashsac", "critic_hidden_sizes": (128, 128), "actor_hidden_sizes": (64, 64),
        "batch_size": 256,
    },
    "flashsac_blocks": {"preset": "flashsac", "update_every": 50},
    **{name: {"preset": name} for name in ("flashsac", "xqc", "tqc", "simba", "redq", "droq")},
}  # fmt: skip
"""Settings in which a row differs from plain SAC, by its name."""
Name = Literal[
    "plain", "plain_lr", "plain_starts", "plain_lr_starts", "plain_log_std", "plain_last_layers",
    "observation_scale", "layer_norm", "layer_norm_scale", "n_step", "crossq_256", "crossq_512",
    "crossq_256_entropy", "crossq_256_entropy_utd2", "fast", "fast_blocks", "fast_one_block",
    "flashsac_128", "flashsac_blocks", "flashsac", "xqc", "tqc", "simba", "redq", "droq",
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Study:
    """Trains rows of the study, or draws what is stored."""

    rows: tyro.conf.Positional[tuple[Name, ...]] = ()
    """What to train; resumes where it was stopped. None: draw."""
    env: str = "HalfCheetah-v4"
    """Environment; of EnvPool, as in envpool:HalfCheetah-v4, stored as Gymnasium's."""
    seeds: int = 3
    """Seeds of each row."""
    steps: int = 100_000
    """Transitions per seed."""
    update_every: int = 1
    """Steps between updates, of which there are as many all the same."""
    eval_every: int = 5_000
    """Steps between evaluations."""
    runs: Path = Path("runs/family")
    """Where the run directories lie."""

    @property
    def task(self) -> str:
        """The environment, whoever simulates it."""
        return self.env.removeprefix("envpool:")


def train(study: Study, name: Name) -> None:
    """Trains a row and stores its evaluations; Ctrl-C ends the program."""
    run = jaxsac.train(
        study.env, directory=study.runs / study.task / name, seeds=study.seeds, steps=study.steps,
        replay_capacity=max(study.steps, 100_000), checkpoint_every=10_000,
        eval_every=study.eval_every, **{"update_every": study.update_every, **ROWS[name]},
    )  # fmt: skip
    store(RunDirectory(run.directory), RESULTS / study.task / name)
    if not run.complete:
        raise SystemExit(130)


def draw(env: str) -> None:
    """Mean returns with their range over seeds, and a table of them."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    heads = ["row", "× products", "seeds", *(f"{step // 1000}k" for step in IN_TABLE)]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    plain, ends = products_of("plain"), {}
    for number, (name, folder) in enumerate(stored(env).items()):
        steps, of_seeds = curves(folder / "returns.csv")
        values = np.stack(list(of_seeds.values()))
        shown = steps <= LONGEST
        steps, values = steps[shown], values[:, shown]
        seeds = f"{len(values)} seeds" if len(values) > 1 else "1 seed"
        label, mark = f"{name}, {seeds}", "o" if len(steps) == 1 else None
        line = "--" if number >= COLORS else "-"
        axes.plot(steps, values.mean(0), line, color=f"C{number}", label=label, marker=mark)
        axes.fill_between(
            steps, values.min(0), values.max(0), color=f"C{number}", alpha=0.15, linewidth=0
        )
        times = products_of(name) / plain
        at = {step: values[:, steps == step] for step in IN_TABLE}
        cells = [_cell(x) for x in at.values()]
        print(f"| {name} | {times:.1f} | {len(values)} | " + " | ".join(cells) + " |")
        ends[name] = (times, {step: x.ravel() for step, x in at.items() if x.size})
    if env == "HalfCheetah-v4":  # of which there are published points
        published = curves(HERE / "published.csv", "return", env=env)
        steps, values = published[0], np.stack(list(published[1].values()))
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
    figure.legend(frameon=False, loc="outside right center")  # beside the curves, which are many
    figure.savefig(RESULTS / env / "returns.png", dpi=120)
    if env in PUBLISHED:
        draw_knee(env, ends)


def _cell(returns: np.ndarray) -> str:
    """Mean ± standard deviation over seeds; of one seed its return, of none nothing."""
    if not returns.size:
        return ""
    spread = f" ± {returns.std():,.0f}" if returns.size > 1 else ""
    return f"{returns.mean():,.0f}{spread}"


def products_of(name: str) -> float:
    """Operations in the matrix products of a step of a row."""
    config = of_keywords("HalfCheetah-v4", **ROWS[name])
    own = presets.Preset(config.agent, config.hyperparameters, config.batch_size, utd=config.utd)
    return cost(own).step


def stored(env: str) -> dict[str, Path]:
    """Folders of the rows that there are results of."""
    here = {folder.name: folder for folder in sorted((RESULTS / env).glob("*/"))}
    return ELSEWHERE.get(env, {}) | here


def draw_knee(env: str, ends: dict[str, tuple[float, dict[int, np.ndarray]]]) -> None:
    """Returns over the operations of a step, after few steps and after many."""
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    for axes, step in zip(figure.subplots(1, 2, sharey=True), (30_000, LONGEST), strict=True):
        for number, (name, (times, at)) in enumerate(ends.items()):
            if step not in at:
                continue
            mean, low, high = at[step].mean(), at[step].min(), at[step].max()
            error = [[mean - low], [high - mean]]
            mark = "s" if number >= COLORS else "o"
            axes.errorbar(times, mean, error, fmt=mark, capsize=3, color=f"C{number}", label=name)
        for label, times, mean in PUBLISHED[env] if step == LONGEST else ():
            axes.plot(times, mean, "*", color="black", markersize=9)
            across, up, side = LABELS.get(label, (-8, -4, "right"))
            axes.annotate(
                label, (times, mean), textcoords="offset points", xytext=(across, up), ha=side
            )
        axes.set(xscale="log", xlim=(0.5, 80), xlabel="products of a step, × plain SAC")
        axes.set_title(f"after {step:,} steps", fontsize="medium")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xticks([0.5, 1, 2, 5, 10, 20, 50])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("return, mean and range of seeds")
    stars = " (stars: published)" if env in PUBLISHED else ""
    figure.suptitle(f"{env}: return over operations{stars}", x=0.01, ha="left")
    entries = {}
    for axes in figure.axes:
        entries |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(
        entries.values(), entries.keys(), loc="outside lower center", ncols=4, frameon=False
    )
    figure.savefig(RESULTS / env / "knee.png", dpi=120)


def main(study: Study) -> None:
    """Trains, stores and draws."""
    for name in study.rows:
        train(study, name)
    draw(study.task)


if __name__ == "__main__":
    main(tyro.cli(Study))
