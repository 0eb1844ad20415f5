"""What the score term does during training: `python study.py --env Pendulum-v1 --steps 20000`.

Trains every variant (resumable), measures the gradient of the agents that it kept, writes
`results/<env>/` and draws the figures; `figures.py` draws them again from what is stored.
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
from training import Study, agents, visited_states

from jaxsac.runner import metrics
from jaxsac.runner.run_directory import RunDirectory
from jaxsac.tools.commands import keep_compiled_programs

RESULTS = Path(__file__).parent / "results"
NUM_STATES, NUM_SAMPLES = 2048, 32
PAIRS = [(x, y) for i, x in enumerate(TERMS) for y in TERMS[i:]]
PARTS = ("mean", "noise", "states")


def main(study: Study) -> None:
    """Trains, measures, writes and draws."""
    keep_compiled_programs()
    study.train()
    results = RESULTS / study.env.replace(":", "-").replace("/", "-")
    results.mkdir(parents=True, exist_ok=True)
    _write(results / "returns.csv", _returns(study))
    _write(results / "moments.csv", _measurements(study))
    shutil.copy(RunDirectory(study.directory("total")).manifest, results / "manifest.json")
    figures.draw(results)


def _returns(study: Study) -> Iterator[dict[str, Any]]:
    """The evaluations of every variant and seed."""
    for variant in study.variants:
        run = RunDirectory(study.directory(variant))
        config = run.config()
        for member, name in zip(config.member_seeds, config.member_names, strict=True):
            for row in metrics.read(metrics.path(run.metrics, name)):
                if row["eval_return"] is not None:
                    names = ("step", "eval_return", "train_return", "entropy", "alpha")
                    yield {"variant": variant, "seed": member} | {n: row[n] for n in names}


def _measurements(study: Study) -> Iterator[dict[str, Any]]:
    """Moments of the gradient, all at the same states: those that the run `total` visited."""
    states = visited_states(study.directory("total"), NUM_STATES)
    for variant in study.variants:
        for step in study.times:
            group = agents(study.directory(variant), step)
            for index in range(study.seeds):
                agent = jax.tree.map(lambda leaf, i=index: leaf[i], group)
                size = agent.action_spec.tree.shape[0]
                noise = jax.random.normal(
                    jax.random.key(step), (NUM_SAMPLES, len(jax.tree.leaves(states)[0]), size)
                )
                found = moments(agent, states, noise)
                row = {"variant": variant, "seed": index, "step": step}
                row["alpha"] = f"{float(np.exp(agent.log_alpha)):.6g}"
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
        writer = csv.DictWriter(lines, list(first))
        writer.writeheader()
        writer.writerows([first, *rest])


if __name__ == "__main__":
    main(tyro.cli(Study))
