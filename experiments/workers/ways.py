"""Ways to step 16 copies of HalfCheetah-v4 on two cores, beside stepping them in turn.

Blocks of each way take turns with blocks in turn, and the ratio is of those. As other programs use
the cores too, the processor time of the busiest thread of each way is taken as well: a step cannot
be quicker than that, so it bounds the ratio that idle cores would give.

`python ways.py` writes results/ways.csv and prints it. EnvPool is left out where it is missing.
"""

from __future__ import annotations

import functools
import importlib.util
import multiprocessing
import os
import queue
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing import shared_memory
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tyro

from jaxsac.envs.copies import mujoco_warnings
from jaxsac.envs.copies.in_turn import InTurn
from jaxsac.envs.copies.parallel import ParallelGroup
from jaxsac.envs.envpool import PoolGroup
from jaxsac.envs.options import EnvOptions
from jaxsac.envs.registry import make, make_one
from jaxsac.runs.settings.config import RunConfig
from workers import store

RESULTS = Path(__file__).parent / "results"
ENV, COPIES, HALF, OBSERVATION, ACTION = "HalfCheetah-v4", 16, 8, 17, 6
TIMEOUT = RunConfig(ENV).env_timeout
NAMES = [f"seed {seed}" for seed in range(COPIES)]
SPIN = 2e-4
"""Seconds that a worker looks for the next step before it sleeps, where it spins."""

Step = Callable[[np.ndarray], Any]


def in_turn(copies: int = COPIES) -> Step:
    group = InTurn(make(ENV, copies, timeout=TIMEOUT))
    group.reset(range(copies))
    return functools.partial(step_on, group)


def step_on(group: Any, actions: np.ndarray) -> list[np.ndarray]:
    """A step, and the next episode of copies whose limit of 1,000 steps it was."""
    stepped = group.step(actions)
    if stepped.truncated.any():
        group.restart(np.flatnonzero(stepped.truncated).tolist())
    return list(stepped)


def in_workers(workers: int) -> Step:
    """As `--env-workers`: a pipe wakes a worker, the arrays are in memory of both."""
    group = ParallelGroup(ENV, NAMES, workers, TIMEOUT)
    group.reset(range(COPIES))
    return functools.partial(step_on, group)


def in_pool(threads: int) -> Step:
    """As `envpool:HalfCheetah-v4`."""
    env, options = f"envpool:{ENV}", EnvOptions()
    first = functools.partial(make_one, env, "the first")
    group = PoolGroup(env, NAMES, threads, TIMEOUT, options, first)
    group.reset(range(COPIES))
    return functools.partial(step_on, group)


def in_threads() -> Step:
    """This thread steps one half, another one the other: MuJoCo leaves Python's lock meanwhile."""
    own, other = in_turn(HALF), in_turn(HALF)
    asked: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()
    answers: queue.SimpleQueue[list[np.ndarray]] = queue.SimpleQueue()

    def serve() -> None:
        while True:
            answers.put(other(asked.get()))

    threading.Thread(target=serve, daemon=True).start()

    def step(actions: np.ndarray) -> list[np.ndarray]:
        asked.put(actions[HALF:])
        return joined([own(actions[:HALF]), answers.get()])

    return step


class Block(NamedTuple):
    """What a process and its worker share."""

    cells: np.ndarray
    """The step that is asked for, the one that is done, and whether the worker sleeps."""
    action: np.ndarray
    result: list[np.ndarray]

    @classmethod
    def of(cls, memory: shared_memory.SharedMemory) -> Block:
        arrays, offset = [], 0
        for shape, dtype in (
            ((3,), np.int64), ((HALF, ACTION), np.float32), ((HALF, OBSERVATION), np.float32),
            ((HALF,), np.float32), ((HALF,), bool), ((HALF,), bool),
        ):  # fmt: skip
            arrays.append(np.ndarray(shape, dtype, memory.buf, offset))
            offset += -(-arrays[-1].nbytes // 64) * 64
        return cls(arrays[0], arrays[1], arrays[2:])


def serve(name: str, pipe: Connection) -> None:
    mujoco_warnings.redirect()
    memory = shared_memory.SharedMemory(name)
    block, step, done = Block.of(memory), in_turn(HALF), 0
    os.write(pipe.fileno(), b"r")
    while True:
        end = time.perf_counter() + SPIN
        while block.cells[0] == done and time.perf_counter() < end:
            pass
        block.cells[2] = 1
        while block.cells[0] == done:
            if not os.read(pipe.fileno(), 1):
                return
        block.cells[2] = 0
        for row, new in zip(block.result, step(block.action), strict=True):
            row[:] = new
        done += 1
        block.cells[1] = done


class Worker:
    """A process that steps one half, with the arrays in memory of both."""

    def __init__(self) -> None:
        self.memory = shared_memory.SharedMemory(create=True, size=2**13)
        self.block = Block.of(self.memory)
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        arguments = (self.memory.name, theirs)
        context.Process(target=serve, args=arguments, daemon=True).start()
        theirs.close()
        os.read(self.pipe.fileno(), 1)

    def ask(self, actions: np.ndarray) -> None:
        self.block.action[:] = actions
        self.block.cells[0] += 1
        if self.block.cells[2]:
            os.write(self.pipe.fileno(), b"s")

    def answer(self) -> list[np.ndarray]:
        cells, asked = self.block.cells, time.perf_counter()
        while cells[1] != cells[0]:
            if cells[2] and time.perf_counter() - asked > 1e-3:  # it fell asleep meanwhile
                os.write(self.pipe.fileno(), b"s")
                asked = time.perf_counter()
        return [row.copy() for row in self.block.result]


def in_spinning(workers: int) -> Step:
    """Two workers that look for a step before they sleep; or one, while this steps a half."""
    own = in_turn(HALF) if workers == 1 else None
    there = [Worker() for _ in range(workers)]

    def step(actions: np.ndarray) -> list[np.ndarray]:
        halves = [actions[:HALF], actions[HALF:]]
        for worker, half in zip(there, halves[-workers:], strict=True):
            worker.ask(half)
        parts = [own(halves[0])] if own else []
        return joined(parts + [worker.answer() for worker in there])

    return step


def joined(parts: Sequence[list[np.ndarray]]) -> list[np.ndarray]:
    return [np.concatenate(rows) for rows in zip(*parts, strict=True)]


WAYS: dict[str, Callable[[], Step]] = {
    "1 worker": lambda: in_workers(1),
    "2 workers": lambda: in_workers(2),
    "2 workers, spinning": lambda: in_spinning(2),
    "here and 1 worker, spinning": lambda: in_spinning(1),
    "2 threads": in_threads,
    "EnvPool, 1 thread": lambda: in_pool(1),
    "EnvPool, 2 threads": lambda: in_pool(2),
}


def main(rounds: int = 41, seconds: float = 0.1, results: Path = RESULTS) -> None:
    """Measures each way beside stepping in turn.

    Args:
      rounds: blocks of each; medians count.
      seconds: length of a block.
      results: folder to write.
    """
    mujoco_warnings.redirect()
    ways, load, start = dict(WAYS), os.getloadavg(), busy_seconds()
    if importlib.util.find_spec("envpool") is None:
        ways = {name: way for name, way in ways.items() if "EnvPool" not in name}
    turn, before = in_turn(), time.monotonic()
    rows = [measure(name, turn, way(), rounds, seconds) for name, way in ways.items()]
    cores = (busy_seconds() - start) / (time.monotonic() - before)
    facts = {
        "cores": os.cpu_count(),
        "cores_busy": round(cores, 2),
        "load_average_before": load,
        "rounds": rounds,
        "block_seconds": seconds,
    }
    store(results, "ways.csv", rows, "ways_machine.json", facts)


def measure(name: str, turn: Step, way: Step, rounds: int, seconds: float) -> dict[str, str]:
    blocks = [(block(turn, seconds), block(way, seconds)) for _ in range(rounds)]
    ratios = [own.rate / base.rate for base, own in blocks]
    quick = [
        statistics.quantiles([t for b in each for t in b.times], n=10)[0]
        for each in zip(*blocks, strict=True)
    ]
    processor = [statistics.median(b.processor for b in each) for each in zip(*blocks, strict=True)]
    row = {
        "way": name,
        "ratio_median": f"{statistics.median(ratios):.2f}",
        "ratio_min": f"{min(ratios):.2f}",
        "ratio_max": f"{max(ratios):.2f}",
        "ratio_of_quickest_tenth": f"{quick[0] / quick[1]:.2f}",
        "ratio_at_most": "" if "spinning" in name else f"{processor[0] / processor[1]:.2f}",
        "in_turn_ms": f"{1000 * quick[0]:.2f}",
    }
    print("  ".join(row.values()), flush=True)
    return row


class Measured(NamedTuple):
    rate: float
    """Steps of all copies a second."""
    times: list[float]
    processor: float
    """Processor seconds of a step of the thread that has most of them, here or in a child."""


def block(step: Step, seconds: float) -> Measured:
    random = np.random.default_rng(0)
    actions = random.uniform(-1, 1, (100, COPIES, ACTION)).astype(np.float32)
    times, threads = [], processor_seconds()
    start = now = time.perf_counter()
    while now - start < seconds:
        step(actions[len(times) % 100])
        before, now = now, time.perf_counter()
        times.append(now - before)
    after = processor_seconds()
    most = max(after[each] - threads.get(each, 0) for each in after)
    return Measured(len(times) / (now - start), times, most / len(times))


def processor_seconds() -> dict[str, float]:
    """Of each thread of this process and of its children."""
    children = [str(child.pid) for child in multiprocessing.active_children()]
    return {
        str(file): int(file.read_text().split()[0]) / 1e9
        for process in ("self", *children)
        for file in Path("/proc", process, "task").glob("*/schedstat")
    }


def busy_seconds() -> float:
    """Of all cores and all programs, since the machine was started."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    idle = int(fields[3]) + int(fields[4])
    return (sum(map(int, fields[:8])) - idle) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    tyro.cli(main)
