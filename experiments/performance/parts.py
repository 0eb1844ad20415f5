"""Where the time of a training step goes: `python parts.py` (five minutes, on an idle machine).

One seed on HalfCheetah-v4, at the defaults, on one core and on two. A ladder of programs is timed,
of which each has one thing that the one before it lacks: the matrix products alone, the gradients
of the losses, and so on up to the trainer. All are in one process and have a block each in turn,
so the differences are of one machine in one mood, and add up to the whole step by construction.
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

import machine
import tyro
from paths import RESULTS
from process import ENVIRONMENT

ROUNDS, SECONDS = 9, 1.5
Repeat = Callable[[int], None]
"""Does something as often as it is told."""


def main(store: bool = False) -> None:
    """Measures on one core and on two, and prints a table.

    Args:
      store: write it to results/parts.csv, with the machine.
    """
    cores = [count for count in (1, 2) if count <= len(os.sched_getaffinity(0))]
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
        facts = machine.describe({"jaxsac": Path(sys.executable)}, rounds=ROUNDS)
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
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    rungs = ladder()
    rounds = []
    for number in range(-1, ROUNDS):
        times = {name: _milliseconds(repeat) for name, repeat in rungs.items()}
        step, times["environment"] = _training_step()
        # Of the trainer's step, what neither the programs nor the environment take.
        times["checks, records and the rest of the loop"] = step
        if number >= 0:  # the first round compiles
            rounds.append(_differences(times) | {"a step of training": step})
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def _differences(times: dict[str, float]) -> dict[str, float]:
    """What each rung takes beyond the one before it; the environment stands for itself."""
    parts, below = {}, 0.0
    for name, taken in times.items():
        if name == "environment":
            parts[name] = taken
            below += taken
        else:
            parts[name] = taken - below
            below = taken
    return parts


def ladder() -> dict[str, Repeat]:
    """Programs by what each has that those before it have not."""
    return {
        "matrix products": _products(),
        "the rest of losses and gradients": _update(noise=False, optimizer=False, guard=False),
        "noise": _update(optimizer=False, guard=False),
        "optimizer and targets": _update(guard=False),
        "guard against NaN": _update(),
        "batch from replay, means of the metrics": _learning(record=False, whole=False),
        "flight recorder": _learning(whole=False),
        "insert, next action, transfer both ways": _learning(),
    }


def _milliseconds(repeat: Repeat) -> float:
    """Of one call, over a block of some seconds."""
    repeat(20)
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        repeat(50)
        calls += 50
    return 1e3 * (time.perf_counter() - start) / calls


def _products() -> Repeat:
    import jax
    from peers import run_jaxsac, settings
    from roofline import compile_products, update_products

    products = update_products(
        run_jaxsac.OBSERVATION_SIZE, run_jaxsac.ACTION_SIZE, settings.HIDDEN_SIZES
    )
    compute = compile_products(products, settings.BATCH_SIZE, jax.random.key(0))

    def repeat(times: int) -> None:
        results = None
        for _ in range(times):
            results = compute()
        jax.block_until_ready(results)

    return repeat


def _update(noise: bool = True, optimizer: bool = True, guard: bool = True) -> Repeat:
    """`jaxsac.update`, jitted and donated, without some of its parts."""
    import jax
    from peers import run_jaxsac

    import jaxsac
    from jaxsac.sac import agent, randomness

    plain_update: Any = agent.update

    (state, key), batch = run_jaxsac._learner(), run_jaxsac._batch()
    drawn = randomness.draw(key, state.action_spec, len(batch.reward), 1)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(learner: Any, batch: jaxsac.Transition, drawn: Any) -> Any:
        state, key = learner
        key, update_key = jax.random.split(key)
        with contextlib.ExitStack() as without:
            if not noise:
                replaced = patch.object(randomness, "draw", lambda *_: drawn)
                without.enter_context(replaced)
            if not optimizer:
                without.enter_context(_no_optimizer())
            if not guard:
                without.enter_context(
                    patch("jax.numpy.isfinite", lambda x: jax.numpy.ones(x.shape, bool))
                )
            state, metrics = plain_update.__wrapped__(state, batch, update_key)
        return (state, key), metrics

    learner = (state, key)

    def repeat(times: int) -> None:
        nonlocal learner
        for _ in range(times):
            learner, _metrics = step(learner, batch, drawn)
        jax.block_until_ready(learner)

    return repeat


@contextlib.contextmanager
def _no_optimizer() -> Iterator[None]:
    """Gradients are computed, and their norms, but nothing moves."""
    import jax
    import optax

    from jaxsac.sac import critics, optimize, policy

    def only_gradient(name: str, loss: Any, _: Any, trained: Any, *args: Any) -> Any:
        graded = jax.value_and_grad(loss, has_aux=True)
        (value, (info, _collections)), gradient = graded(trained.params, *args)
        return trained, optimize._named(name, info, value, optax.tree.norm(gradient))

    with (
        patch.object(critics, "minimize", only_gradient),
        patch.object(policy, "minimize", only_gradient),
        patch("optax.incremental_update", lambda new, old, tau: old),
    ):
        yield


def _learning(record: bool = True, whole: bool = True) -> Repeat:
    """A step of learning as the trainer compiles it, or its update on a batch of replay alone."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from peers import run_jaxsac, settings

    from jaxsac.envs.step_result import StepResult
    from jaxsac.runs.config import RunConfig
    from jaxsac.training import flight_recorder, learner, seed_axis
    from jaxsac.training.driver import init_learning
    from jaxsac.training.schedule import Work
    from jaxsac.types import transition_of

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
    insert = axis.compile(learner.insert, donate=(0,))
    for _ in range(2):
        carry = insert(carry, result)

    def updates(carry: learner.Carry, work: Work) -> learner.Carry:
        with contextlib.ExitStack() as without:
            if not record:
                without.enter_context(
                    patch.object(flight_recorder, "record", lambda recorder, *_: recorder)
                )
            return learner._update(
                carry, work.num_updates, (), settings.BATCH_SIZE, 0, axis.over_members
            )

    step: Any = axis.compile(
        functools.partial(
            learner.learn_step, batch_size=settings.BATCH_SIZE, over_seeds=axis.over_members
        )
        if whole
        else updates,
        num_shared=1,
        donate=(0,),
    )
    work = Work(np.int32(1), np.bool_(False))

    def repeat(times: int) -> None:
        nonlocal carry
        for _ in range(times):
            if whole:
                carry = step(carry, result, work)
                np.asarray(carry.action)
            else:
                carry = step(carry, work)
        jax.block_until_ready(carry.action)

    return repeat


def _training_step() -> tuple[float, float]:
    """Milliseconds of a step of the trainer once it learns, and of its environment's step."""
    import gymnasium
    from peers import settings

    import jaxsac

    steps, clocks = 600, []

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
            Timed, directory=Path(folder) / "run", steps=2 * settings.LEARNING_STARTS + steps,
            learning_starts=settings.LEARNING_STARTS, replay_capacity=settings.REPLAY_CAPACITY,
            eval_every=0, log_every=settings.FOREVER, checkpoint_every=0, keep_replay=False,
            progress=False,
        )  # fmt: skip
    learning = max(clocks, key=len)[-steps:]  # the others are copies that are examined
    of_environment = sum(end - begun for begun, end in learning[:-1])
    return (
        1e3 * (learning[-1][0] - learning[0][0]) / (steps - 1),
        1e3 * of_environment / (steps - 1),
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(int(sys.argv[2]))))
    else:
        tyro.cli(main)
