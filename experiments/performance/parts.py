"""Where the time of a training step goes: `python parts.py` (five minutes, on an idle machine).

One seed on HalfCheetah-v4, at the defaults, on one core and on two. A ladder of programs is timed,
of which each has one thing that the one before it lacks: the matrix products alone, the gradients
of the losses, and so on up to the trainer. All are in one process and have a block each in turn,
so the differences are of one machine in one mood. In a round they add up to the whole step; what
is printed are medians of rounds.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import gymnasium
import jax
import jax.numpy as jnp
import machine
import numpy as np
import optax
import tyro
from paths import RESULTS
from peers import run_jaxsac, settings
from process import ENVIRONMENT
from quick import repeat_learn_step, seconds_each, start_learning

import jaxsac
from jaxsac.runs.process import allocator
from jaxsac.sac import agent, critics, policy, randomness
from jaxsac.sac.state import Metrics
from jaxsac.training import flight_recorder, learner
from jaxsac.training.carry import Carry
from jaxsac.training.schedule import Work

ROUNDS, SECONDS, STEPS = 7, 1.5, 600
"""Of each rung, of a block, and of training."""
STORED = 10_000
"""Transitions in replay, more than the caches near a core hold."""
Repeat = Callable[[], None]
"""Does something `settings.BLOCK` times."""


def main(store: bool = False) -> None:
    """Measures on one core and on two, and prints a table.

    Args:
      store: write it to results/parts.csv, with the machine.
    """
    cores = [count for count in (1, 2) if count <= len(os.sched_getaffinity(0))]
    facts = machine.describe({"jaxsac": Path(sys.executable)}, rounds=ROUNDS)
    parts = {count: _in_process_of_its_own(count) for count in cores}
    heads = [f"{count} core{'s' * (count > 1)}, ms" for count in cores]
    print(f"| part of a step | {' | '.join(heads)} |\n|---{'|---' * len(cores)}|")
    for name in parts[cores[0]]:
        print(f"| {name} | {' | '.join(f'{parts[count][name]:.2f}' for count in cores)} |")
    if store:
        with (RESULTS / "parts.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("part", *(f"ms_on_{count}" for count in cores)))
            rows.writerows(
                (name, *(round(parts[count][name], 4) for count in cores))
                for name in parts[cores[0]]
            )
        (RESULTS / "parts.json").write_text(json.dumps(facts, indent=2) + "\n")


def _in_process_of_its_own(cores: int) -> dict[str, float]:
    """What `measure` finds with so many cores, which JAX counts once."""
    command = [sys.executable, __file__, "--measure", str(cores)]
    said = subprocess.run(
        command, env=os.environ | ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return json.loads(said.splitlines()[-1])


def measure(cores: int) -> dict[str, float]:
    """Milliseconds of a step that each part takes, and the whole, medians of all rounds."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])  # JAX counts them later
    allocator.keep_freed_memory()  # as the trainer does
    rungs = {
        "matrix products": run_jaxsac.repeat_products(),
        "the rest of losses and gradients": update(noise=False, optimizer=False, guard=False),
        "noise": update(optimizer=False, guard=False),
        "optimizer and targets": update(guard=False),
        "guard against NaN": update(),
        "batch from replay, means of the metrics": update_from_replay(record=False),
        "flight recorder": update_from_replay(),
        "insert, next action, transfer both ways": repeat_learn_step(),
    }
    rounds = []
    for number in range(-1, ROUNDS):
        parts, below = {}, 0.0
        for name, repeat in rungs.items():
            taken = 1e3 * seconds_each(repeat, SECONDS) / settings.BLOCK
            parts[name], below = taken - below, taken
        step, parts["environment"] = training_step()
        parts["checks, records and the rest of the loop"] = step - below - parts["environment"]
        if number >= 0:  # the first round compiles
            rounds.append(parts | {"a step of training": step})
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def update(noise: bool = True, optimizer: bool = True, guard: bool = True) -> Repeat:
    """`jaxsac.update`, jitted and donated, without some of its parts."""
    (state, key), batch = run_jaxsac._learner(), run_jaxsac._batch()
    drawn = randomness.draw(state, batch, key)
    plain_update: Any = agent.update

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state: jaxsac.State, key: jax.Array, drawn: Any) -> Any:
        key, update_key = jax.random.split(key)
        with contextlib.ExitStack() as without:
            if not noise:
                without.enter_context(patch.object(randomness, "draw", lambda *_: drawn))
            if not optimizer:
                without.enter_context(_no_optimizer())
            if not guard:
                without.enter_context(patch("jax.numpy.isfinite", lambda x: jnp.ones_like(x, bool)))
            state, metrics = plain_update.__wrapped__(state, batch, update_key)
        return state, key, metrics

    def repeat() -> None:
        nonlocal state, key
        for _ in range(settings.BLOCK):
            state, key, _metrics = step(state, key, drawn)
        jax.block_until_ready(state)

    return repeat


@contextlib.contextmanager
def _no_optimizer() -> Iterator[None]:
    """Gradients are computed, and their norms, but nothing moves."""

    def only_gradient(name: str, loss: Any, _: Any, trained: Any, *args: Any) -> Any:
        graded = jax.value_and_grad(loss, has_aux=True)
        (value, (info, _collections)), gradient = graded(trained.params, *args)
        norm = optax.tree.norm(gradient)
        return trained, Metrics(info, **{f"{name}_loss": value, f"{name}_gradient_norm": norm})

    with (
        patch.object(critics, "minimize", only_gradient),
        patch.object(policy, "minimize", only_gradient),
        patch("optax.incremental_update", lambda new, old, tau: old),
    ):
        yield


def update_from_replay(record: bool = True) -> Repeat:
    """An update as the trainer does it, on a batch of its own from replay."""
    axis, carry, result = start_learning()
    insert = axis.compile(learner.insert, donate=(0,))
    for _ in range(STORED):
        carry = insert(carry, result)

    def updates(carry: Carry, work: Work) -> Carry:
        with contextlib.ExitStack() as without:
            if not record:
                replaced = patch.object(flight_recorder, "record", lambda recorder, *_: recorder)
                without.enter_context(replaced)
            return learner._update(
                carry, work.num_updates, (), settings.BATCH_SIZE, 0, axis.over_members
            )

    step = axis.compile(updates, num_shared=1, donate=(0,))
    work = Work(np.int32(1), np.bool_(False))

    def repeat() -> None:
        nonlocal carry
        for _ in range(settings.BLOCK):
            carry = step(carry, work)
        jax.block_until_ready(carry.agent)

    return repeat


def training_step() -> tuple[float, float]:
    """Milliseconds of a step of the trainer once it learns, and of its environment's step."""
    clocks: list[list[tuple[float, float]]] = []

    class Timed(gymnasium.Wrapper):
        """Writes down when each step begins and ends."""

        def __init__(self) -> None:
            super().__init__(gymnasium.make(settings.ENV))
            self.clock: list[tuple[float, float]] = []
            clocks.append(self.clock)

        def step(self, action: Any) -> Any:
            begun = time.perf_counter()
            result = self.env.step(action)
            self.clock.append((begun, time.perf_counter()))
            return result

    with tempfile.TemporaryDirectory() as folder:
        jaxsac.train(
            Timed, directory=Path(folder) / "run", steps=2 * settings.LEARNING_STARTS + STEPS,
            learning_starts=settings.LEARNING_STARTS, replay_capacity=settings.REPLAY_CAPACITY,
            eval_every=0, log_every=settings.FOREVER, checkpoint_every=0, keep_replay=False,
            progress=False,
        )  # fmt: skip
    learning = max(clocks, key=len)[-STEPS:]  # the others are copies that are examined
    whole = learning[-1][0] - learning[0][0]
    of_environment = sum(end - begun for begun, end in learning[:-1])
    return 1e3 * whole / (STEPS - 1), 1e3 * of_environment / (STEPS - 1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(int(sys.argv[2]))))
    else:
        tyro.cli(main)
