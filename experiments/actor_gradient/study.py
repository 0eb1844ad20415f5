"""What the score term does during training: `python study.py --env Pendulum-v1 --steps 20000`.

Trains each variant (a run that was stopped resumes), measures the gradient of the agents that it
kept, writes `results/<env>/<variant>/<first seed>/` and draws the figures of all that is there;
`figures.py` draws them again.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import figures
import jax
import numpy as np
import tyro
from moments import TERMS, moments
from safetensors.numpy import load_file, save_file

from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.metrics import metrics
from jaxsac.runs.process.compilation_cache import keep_compiled_programs
from jaxsac.types import PyTree
from training import Study, agents, visited_states

RESULTS = Path(__file__).parent / "results"
NUM_STATES, NUM_SAMPLES = 2048, 32
PAIRS = [(x, y) for i, x in enumerate(TERMS) for y in TERMS[i:]]
PARTS = ("mean", "noise", "states")


def main(study: Study) -> None:
    """Trains, measures and writes one variant after the other, and draws."""
    keep_compiled_programs()
    for variant in study.variants:
        study.train(variant)
        folder = RESULTS / study.place(variant)
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "returns.csv", _returns(study, variant))
        shutil.copy(RunDirectory(study.directory(variant)).manifest, folder)
        states = _states(study, folder.parents[1] / "states.safetensors")
        _write(folder / "moments.csv", _measurements(study, variant, states))
    figures.draw(RESULTS / study.place("total").parents[1])


def _states(study: Study, file: Path) -> PyTree:
    """The states of all measurements: some that the run `total` visited, stored once drawn."""
    if not file.exists():
        states = visited_states(study.directory("total"), NUM_STATES)
        save_file({"observation": np.asarray(states)}, file)
    return load_file(file)["observation"]


def _returns(study: Study, variant: str) -> Iterator[dict[str, Any]]:
    """The evaluations of every seed."""
    run = RunDirectory(study.directory(variant))
    config = run.config()
    for member, name in zip(config.member_seeds, config.member_names, strict=True):
        for row in metrics.read(metrics.path(run.metrics, name)):
            if row["eval_return"] is not None:
                names = ("step", "eval_return", "train_return", "entropy", "alpha")
                yield {"seed": member} | {n: row[n] for n in names}


def _measurements(study: Study, variant: str, states: PyTree) -> Iterator[dict[str, Any]]:
    """Moments of the gradient of the agents that were kept, all at the same states."""
    for step in study.times:
        group = agents(study.directory(variant), step)
        for index in range(study.seeds):
            agent = jax.tree.map(lambda leaf, i=index: leaf[i], group)
            size = agent.action_spec.tree.shape[0]
            noise = jax.random.normal(jax.random.key(step), (NUM_SAMPLES, len(states), size))
            found = moments(agent, states, noise)
            row: dict[str, Any] = {"seed": study.seed + index, "step": step}
            row["alpha"] = f"{float(agent.alpha):.6g}"
            for part in PARTS:
                matrix = np.asarray(getattr(found, part))
                for x, y in PAIRS:
                    value = matrix[TERMS.index(x), TERMS.index(y)]
                    row[f"{part}:{x}:{y}"] = f"{value:.6g}"
            yield row
        print(f"measured {study.env}, {variant}, step {step:,}", flush=True)


def _write(file: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Writes the rows once all of them are there."""
    first, *rest = list(rows)
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, list(first), lineterminator="\n")
        writer.writeheader()
        writer.writerows([first, *rest])


if __name__ == "__main__":
    main(tyro.cli(Study))
