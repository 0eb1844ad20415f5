"""Robots simulated on the device by MJX, and learned from there."""

from __future__ import annotations

import functools

from section import REHEARSE, attempt, compile_all, leave  # isort: skip
from driving import driver_of, lowered_chunk, report, settings, steps_per_second

WIDE = {"num_envs": 1024, "utd": 1 / 64, "replay_capacity": 100_000}
CASES = [
    ("mjx:HalfCheetah-v4", 64, {}),
    ("mjx:HalfCheetah-v4", 1, WIDE),
    ("mjx:HalfCheetah-v4", 256, {}),
    ("mjx:HalfCheetah-v4", 1, {}),
    ("mjx:Ant-v4", 1, WIDE),
    ("mjx:Ant-v4", 64, {}),
]
if REHEARSE:
    CASES = [("mjx:HalfCheetah-v4", 2, {})]


def main() -> None:
    """As in `device`."""
    usual = {"replay_capacity": 20_000, "learning_starts": 1024}
    drivers = [driver_of(settings(env, seeds, **usual | own)) for env, seeds, own in CASES]
    programs = compile_all(
        {i: functools.partial(lowered_chunk, driver) for i, driver in enumerate(drivers)}
    )
    for i, (env, seeds, own) in enumerate(CASES):
        attempt(env, measure, env, seeds, own, drivers[i], programs[i], seeds=seeds)


def measure(env: str, seeds: int, own, driver, program) -> None:
    """The rate of one robot, in transitions of each seed."""
    driver.start()
    driver._learn_chunk = program
    setting = f"{own['num_envs']} envs" if own else ""
    report(env, steps_per_second(driver, 3.0, chunk=20), seeds, setting)
    driver._carry = None


if __name__ == "__main__":
    leave(main)
