"""Robots simulated on the device by MJX, and learned from there."""

from __future__ import annotations

import functools
import os
import time

from section import REHEARSE, attempt, compile_all, leave, row  # isort: skip
import jax
from driving import driver_of, lowered_chunk, report, settings, steps_per_second

ROBOTS = os.environ.get("ACCELERATOR_ROBOTS", "cheetah")
WARP = {"env_kwargs": {"impl": "warp"}}
WIDE = {"num_envs": 1024, "utd": 1 / 64, "replay_capacity": 100_000}
CHEETAH = [(64, {}), (1, WIDE), (256, {}), (1, {})]
CASES = {
    "cheetah": [("mjx:HalfCheetah-v4", seeds, own) for seeds, own in CHEETAH],
    "warp": [("mjx:HalfCheetah-v4", seeds, own | WARP) for seeds, own in CHEETAH],
    "ant": [("mjx:Ant-v4", 1, WIDE), ("mjx:Ant-v4", 64, {})],
}[ROBOTS]
if REHEARSE:
    CASES = [("mjx:HalfCheetah-v4", 2, WARP if ROBOTS == "warp" else {})][: ROBOTS != "ant"]


def main() -> None:
    """As in `device`."""
    usual = {"replay_capacity": 20_000, "learning_starts": 1024}
    made = {
        i: attempt(env, driver_of, settings(env, seeds, **usual | own), seeds=seeds)
        for i, (env, seeds, own) in enumerate(CASES)
    }
    drivers = {i: driver for i, driver in made.items() if driver is not None}
    if ROBOTS == "warp" and drivers:
        attempt("Warp's kernels", compile_kernels, next(iter(drivers.values()))._env)
    programs = compile_all(
        {i: functools.partial(lowered_chunk, driver) for i, driver in drivers.items()}
    )
    for i, program in programs.items():
        env, seeds, own = CASES[i]
        attempt(env, measure, env, seeds, own, drivers[i], program, seeds=seeds)


def compile_kernels(env) -> None:
    """By a step of two robots; they are kept on disk for the programs to come."""
    start = time.perf_counter()
    states = jax.vmap(env.reset)(jax.random.split(jax.random.key(0), 2))
    step = jax.jit(jax.vmap(env.step))
    jax.block_until_ready(step(states, jax.numpy.zeros((2, *env.action.shape))))
    row("Warp's kernels, beside other work", time.perf_counter() - start, "s")


def measure(env: str, seeds: int, own, driver, program) -> None:
    """The rate of one robot, in transitions of each seed."""
    driver.start()
    driver._learn_chunk = program
    setting = f"{own['num_envs']} envs" if "num_envs" in own else ""
    setting += " Warp" * (ROBOTS == "warp")
    report(env, steps_per_second(driver, 3.0, chunk=20), seeds, setting.strip())
    driver._carry = None


if __name__ == "__main__":
    leave(main)
