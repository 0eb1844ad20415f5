"""Members as a batch or one after the other: an update of each preset on one core.

`taskset -c 0 python layouts.py` times both ways in turns, in milliseconds of CPU time, and stores
`results/layouts.csv`.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import jaxsac

RESULTS = Path(__file__).parent / "results"
OBSERVATION, ACTION = 17, 6  # of HalfCheetah
SMALL = {"critic_hidden_sizes": (256, 256)}
AGENTS: dict[str, jaxsac.Preset] = {
    "SAC": jaxsac.Preset(),
    "SAC with LayerNorm": jaxsac.Preset(jaxsac.Config(normalization="layer")),
    "fast": jaxsac.preset("fast"),
    "CrossQ, critics 256": jaxsac.preset("crossq")._replace(
        config=dataclasses.replace(jaxsac.preset("crossq").config, **SMALL)
    ),
    "DroQ": jaxsac.preset("droq"),
    "TQC": jaxsac.preset("tqc"),
}


def one_after_the_other(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of each member in turn."""
    return lambda *args: jax.lax.map(lambda member: function(*member), args)


LAYOUTS = {"batched": jax.vmap, "one after the other": one_after_the_other}


def timed(agent: jaxsac.Preset, members: int, repeats: int) -> dict[str, float]:
    """Milliseconds of CPU time of an update of all members, the median by layout."""
    make = functools.partial(
        jaxsac.init, observation=jnp.zeros(OBSERVATION), action=jnp.zeros(ACTION),
        config=agent.config, hyperparameters=agent.hyperparameters,
    )  # fmt: skip
    keys = jax.random.split(jax.random.key(0), members)
    batch = batches(members, agent.batch_size)
    programs, times = {}, {name: [] for name in LAYOUTS}
    for name, over_members in LAYOUTS.items():
        update = over_members(lambda *args: jaxsac.update(*args)[0])
        structs = jax.eval_shape(jax.vmap(make), keys)
        programs[name] = jax.jit(update, donate_argnums=0).lower(structs, batch, keys).compile()
    states = {name: jax.vmap(make)(keys) for name in LAYOUTS}
    for _ in range(repeats):
        for name, update in programs.items():
            start = time.process_time()
            states[name] = jax.block_until_ready(update(states[name], batch, keys))
            times[name].append(1e3 * (time.process_time() - start))
    return {name: statistics.median(each) for name, each in times.items()}


def batches(members: int, size: int) -> jaxsac.Transition:
    """A batch of noise for each member."""
    draw = functools.partial(np.random.default_rng(0).uniform, -1, 1)
    rows = (members, size)
    arrays = (draw((*rows, OBSERVATION)), draw((*rows, ACTION)), draw(rows), np.ones(rows))
    return jaxsac.Transition(
        *(jnp.asarray(x, jnp.float32) for x in (*arrays, draw((*rows, OBSERVATION))))
    )


def main(repeats: int = 40, members: tuple[int, ...] = (2, 4)) -> None:
    """Times all agents.

    Args:
      repeats: of each program.
      members: how many learn together.
    """
    with (RESULTS / "layouts.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["agent", "members", *LAYOUTS])
        for name, agent in AGENTS.items():
            for count in members:
                times = timed(agent, count, repeats)
                row = [name, count, *(f"{each:.1f}" for each in times.values())]
                writer.writerow(row)
                print(*row, sep=", ", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
