"""How long an update of each algorithm takes, in those of plain SAC: `python times.py`.

One agent of HalfCheetah's size, all in one process: blocks of a preset take turns with blocks of
plain SAC, and the median of their ratios counts, so that what else the machine does changes little.
Writes results/times.csv, the seconds of plain SAC beside it, and prints the table.
"""

from __future__ import annotations

import csv
import dataclasses
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import tyro
from cost import ACTION, OBSERVATION

import jaxsac
from jaxsac.sac import presets

RESULTS = Path(__file__).parent / "results"


def rows() -> dict[str, presets.Preset]:
    """By name; with the narrow CrossQ of the study."""
    crossq = presets.ALGORITHMS["crossq"]
    config = dataclasses.replace(crossq.config, critic_hidden_sizes=(256, 256))
    narrow = crossq._replace(config=config)
    return {"plain": presets.Preset(), "crossq, critics 256²": narrow, **presets.ALGORITHMS}


def block_of(preset: presets.Preset) -> Callable[[], float]:
    """A function that makes some updates, the actor's as often as is due, and returns seconds.

    Of one update, the mean.
    """
    keys = jax.random.split(jax.random.key(0), 4)
    n = preset.batch_size
    batch = jaxsac.Transition(
        jax.random.normal(keys[0], (n, OBSERVATION)),
        jax.random.uniform(keys[1], (n, ACTION), minval=-1, maxval=1),
        jax.random.normal(keys[2], (n,)),
        jnp.ones(n),
        jax.random.normal(keys[3], (n, OBSERVATION)),
    )
    state = jaxsac.init(
        keys[0], batch.observation[0], batch.action[0], preset.config, preset.hyperparameters
    )
    update = jax.jit(jaxsac.update, donate_argnums=0)
    period = preset.config.actor_every

    def make(count: int) -> float:
        nonlocal state
        start = time.perf_counter()
        for _ in range(count):
            state, _ = update(state, batch, keys[1])
        jax.block_until_ready(state)
        return (time.perf_counter() - start) / count

    make(period)
    count = period * math.ceil(0.3 / (make(period) * period))
    return lambda: make(count)


def main(rounds: int = 7, results: Path = RESULTS) -> None:
    """Measures all presets.

    Args:
      rounds: blocks of each.
      results: folder to write.
    """
    made = rows()
    plain, table = block_of(made.pop("plain")), []
    for name, preset in made.items():
        block = block_of(preset)
        pairs = [(plain(), block()) for _ in range(rounds)]
        ratios = sorted(own / base for base, own in pairs)
        base = statistics.median(base for base, _ in pairs)
        numbers = (statistics.median(ratios), ratios[0], ratios[-1], 1000 * base)
        table.append((name, *(f"{number:.3g}" for number in numbers)))
        print("| " + " | ".join(table[-1]) + " |", flush=True)
    with (results / "times.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("preset", "ratio_median", "ratio_min", "ratio_max", "plain_ms"))
        writer.writerows(table)


if __name__ == "__main__":
    tyro.cli(main)
