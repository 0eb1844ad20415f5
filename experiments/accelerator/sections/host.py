"""Gymnasium's HalfCheetah-v4 on the host: steps a second, and where their time goes."""

from __future__ import annotations

import functools
import time

from section import REHEARSE, attempt, compile_all, counts, leave, row  # isort: skip
from driving import driver_of, lowered_step, report, settings, steps_per_second

COUNTS = counts((1, 10, 32))
BLOCK = 50
WORKERS = 2 if REHEARSE else 5


def main() -> None:
    """As in `device`."""
    drivers = {(n, every): driver_of(config(n, every)) for n in COUNTS for every in (1, BLOCK)}
    programs = compile_all({n: functools.partial(lowered_step, drivers[n, 1]) for n in COUNTS})
    for n in COUNTS:
        attempt("HalfCheetah-v4", measure, n, drivers[n, 1], programs[n], 1, seeds=n)
        attempt("HalfCheetah-v4", measure, n, drivers[n, BLOCK], programs[n], BLOCK, seeds=n)


def config(seeds: int, update_every: int):
    """A run that updates after each step or in blocks."""
    capacity = 500 if REHEARSE else 100_000
    return settings(
        "HalfCheetah-v4", seeds, replay_capacity=capacity, update_every=update_every,
        env_workers=WORKERS if seeds > 1 else 0,
    )  # fmt: skip


def measure(count: int, driver, program, every: int) -> None:
    """The rate, and the parts of a step."""
    driver.start()
    driver._learn_step = program  # the same for all schedules
    setting = "a step at a time" if every == 1 else f"blocks of {every}"
    report("HalfCheetah-v4", steps_per_second(driver, 3.0), count, setting)
    parts(driver, count, setting)
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
