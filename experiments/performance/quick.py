"""Has a change made jaxsac slower? `make bench-quick` says so in a minute.

Times are measured in matrix products: how many times as long as the products of one update, alone,
does an update take, and a whole step of learning (insert, sample, update, act)? Both are taken in
turn on one core of this machine, so that the ratio says little about the machine and much about the
program. It is compared with the ratio stored in `results/quick.json`.
"""

from __future__ import annotations

import functools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from paths import RESULTS
from peers import run_jaxsac, settings

from jaxsac.envs.step_result import StepResult
from jaxsac.runs.settings.config import RunConfig
from jaxsac.training import learner, seed_axis
from jaxsac.training.carry import Carry
from jaxsac.training.driver import init_learning
from jaxsac.training.schedule import Work
from jaxsac.types import transition_of

REFERENCE = RESULTS / "quick.json"
ROUNDS, SECONDS = 15, 0.5
TOLERANCE = 0.1


def main(store: bool = False) -> int:
    """Measures, and compares with the stored ratios.

    Args:
      store: store what is measured instead, after a change that was meant.

    Returns:
      1 if a ratio is worse than the stored one by more than a tenth.
    """
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # JAX has not counted the cores yet
    work = {
        "matrix products": run_jaxsac.repeat_products(),
        "update": run_jaxsac.repeat_update(),
        "learning step": repeat_learn_step(),
    }
    times: dict[str, list[float]] = {name: [] for name in work}
    for number in range(-1, ROUNDS):
        for name, repeat in work.items():
            seconds = seconds_each(repeat, SECONDS)
            if number >= 0:  # the first round compiles
                times[name].append(seconds)
    products = times.pop("matrix products")
    ratios = {
        name: statistics.median(t / p for t, p in zip(values, products, strict=True))
        for name, values in times.items()
    }
    if store:
        REFERENCE.write_text(json.dumps(ratios, indent=2) + "\n")
    stored = json.loads(REFERENCE.read_text())
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.3f} × its matrix products, stored {stored[name]:.3f}")
    slower = [name for name, ratio in ratios.items() if ratio > (1 + TOLERANCE) * stored[name]]
    if slower:
        print(f"slower by more than {TOLERANCE:.0%}: {', '.join(slower)}")
    return int(bool(slower))


def seconds_each(repeat: Callable[[], None], seconds: float) -> float:
    """Of one call, over at least so many seconds."""
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        repeat()
        calls += 1
    return (time.perf_counter() - start) / calls


def start_learning() -> tuple[seed_axis.SeedAxis, Carry, StepResult]:
    """One learner at the defaults, on its axis, and what a step of its environment returns."""
    observation = jax.ShapeDtypeStruct((run_jaxsac.OBSERVATION_SIZE,), jnp.float32)
    action = jax.ShapeDtypeStruct((run_jaxsac.ACTION_SIZE,), jnp.float32)
    axis = seed_axis.axis(1)
    rows = jax.tree.map(
        lambda struct: np.ones((1, 1, *struct.shape), struct.dtype),
        transition_of(observation, action),
    )
    _, _, reward, discount, next_observation = rows
    valid = np.ones((1, 1), bool)
    result = StepResult(reward, discount, next_observation, valid, next_observation, ~valid)
    carry = init_learning(RunConfig("any").to_population(), rows.observation, action, axis)
    return axis, carry, result


def repeat_learn_step() -> Callable[[], None]:
    """As many steps as the others do updates, one seed, as the trainer compiles them."""
    axis, carry, result = start_learning()
    step = axis.compile(
        functools.partial(
            learner.learn_step, batch_size=settings.BATCH_SIZE, over_seeds=axis.over_members
        ),
        num_shared=1,
        donate=(0,),
    )
    work = Work(np.int32(1), np.bool_(False))

    def repeat() -> None:
        nonlocal carry
        for _ in range(settings.BLOCK):
            carry = step(carry, result, work)
            np.asarray(carry.action)

    return repeat


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
