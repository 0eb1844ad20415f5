"""Gymnasium's HalfCheetah-v4 on the host: steps a second, and where their time goes."""

from __future__ import annotations

import functools
import time

from section import REHEARSE, attempt, compile_all, counts, leave, row  # isort: skip
from driving import driver_of, lowered_step, report, settings, steps_per_second

COUNTS = counts((1, 8, 32))
BLOCK = 50


def main() -> None:
    """As in `device`."""
    configs = {
        n: settings("HalfCheetah-v4", n, replay_capacity=500 if REHEARSE else 100_000)
        for n in COUNTS
    }
    drivers = {n: driver_of(config) for n, config in configs.items()}
    programs = compile_all({n: functools.partial(lowered_step, drivers[n]) for n in COUNTS})
    for n in COUNTS:
        attempt("HalfCheetah-v4", measure, n, drivers[n], programs[n], seeds=n)


def measure(count: int, driver, program) -> None:
    """Rates a step at a time and in blocks, and the parts of a step."""
    driver.start()
    driver._learn_step = program
    report("HalfCheetah-v4", steps_per_second(driver, 3.0), count, "a step at a time")
    parts(driver, count)
    blocks = settings("HalfCheetah-v4", count, update_every=BLOCK).schedule
    driver._population = driver._population.replace(schedule=blocks)
    report("HalfCheetah-v4", steps_per_second(driver, 3.0), count, f"blocks of {BLOCK}")
    driver.close()


def parts(driver, seeds: int) -> None:
    """Rows of the parts of a step."""
    seconds = {"environments": 0.0, "dispatch": 0.0}

    def timed(name, function):
        def call(*args):
            start = time.perf_counter()
            result = function(*args)
            seconds[name] += time.perf_counter() - start
            return result

        return call

    step, learn_step = driver._envs.step, driver._learn_step
    driver._envs.step = timed("environments", step)
    driver._learn_step = timed("dispatch", learn_step)
    count = 3 if REHEARSE else 300
    start = time.perf_counter()
    for _ in range(count):
        driver.advance(10**9)
    total = time.perf_counter() - start
    driver._envs.step, driver._learn_step = step, learn_step
    seconds["wait for the action"] = total - sum(seconds.values())
    for name, value in seconds.items():
        row(f"a step: {name}", 1e6 * value / count, "µs", seeds)


if __name__ == "__main__":
    leave(main)
