"""Gymnasium's HalfCheetah-v4 on the host: steps a second, and where their time goes."""

from __future__ import annotations

import functools
import importlib.util
import os
import time

from section import REHEARSE, attempt, compile_all, leave, row  # isort: skip
from driving import driver_of, lowered_step, report, settings, steps_per_second

BLOCK = 50
MANY = 2 if REHEARSE else 10
CHEETAH, POOL = "HalfCheetah-v4", "envpool:HalfCheetah-v4"
CASES = [
    (CHEETAH, 1, 1), (CHEETAH, 1, BLOCK), (CHEETAH, MANY, 1), (CHEETAH, MANY, BLOCK),
    (POOL, MANY, 1), (POOL, MANY, BLOCK),
]  # fmt: skip
"""Environment, seeds, and steps between updates."""
CASES = CASES[1::2] if REHEARSE else [*CASES, (POOL, 32, BLOCK)]
if importlib.util.find_spec("envpool") is None:
    CASES = [case for case in CASES if case[0] != POOL]


def main() -> None:
    """As in `device`."""
    made = {case: attempt(case[0], driver_of, config(*case), seeds=case[1]) for case in CASES}
    drivers = {case: driver for case, driver in made.items() if driver is not None}
    one_each = {case[1]: case for case in drivers}
    programs = compile_all(
        {n: functools.partial(lowered_step, drivers[case]) for n, case in one_each.items()}
    )
    for case, driver in drivers.items():
        if case[1] in programs:
            attempt(case[0], measure, case, driver, programs[case[1]], seeds=case[1])


def config(env: str, seeds: int, update_every: int):
    """A run that updates after each step or in blocks; each environment has a core."""
    capacity = 500 if REHEARSE else 100_000
    workers = min(seeds, os.cpu_count() or 1) if seeds > 1 else 0
    return settings(
        env, seeds, replay_capacity=capacity, update_every=update_every, env_workers=workers,
    )  # fmt: skip


def measure(case, driver, program) -> None:
    """The rate, and the parts of a step."""
    env, count, every = case
    driver.start()
    driver._learn_step = program  # the same for all schedules
    setting = "a step at a time" if every == 1 else f"blocks of {every}"
    report(env, steps_per_second(driver, 3.0), count, setting)
    parts(driver, count, f"{setting}, {env}")
    driver.close()


def parts(driver, seeds: int, setting: str) -> None:
    """Rows of the parts of a step; in blocks, the updates are in the wait for the action."""
    seconds: dict[str, float] = {"environments": 0.0, "dispatch": 0.0, "acting": 0.0}

    def timed(name, function):
        def call(*args):
            start = time.perf_counter()
            result = function(*args)
            seconds[name] += time.perf_counter() - start
            return result

        return call

    driver._envs.step = timed("environments", driver._envs.step)
    driver._learn_step = timed("dispatch", driver._learn_step)
    driver._waiting._act_step = timed("acting", driver._waiting._act_step)
    count = 3 if REHEARSE else 300
    start = time.perf_counter()
    for _ in range(count):
        driver.advance(10**9)
    total = time.perf_counter() - start
    seconds["wait and the rest"] = total - sum(seconds.values())
    for name, value in seconds.items():
        row(f"a step: {name}", 1e6 * value / count, "µs", seeds, setting)


if __name__ == "__main__":
    leave(main)
