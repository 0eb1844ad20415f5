"""Environment and learning in one program: `jaxsac:Pendulum-v1` with many seeds."""

from __future__ import annotations

import functools
import gzip

from section import REHEARSE, RESULTS, attempt, compile_all, counts, leave, row  # isort: skip
import jax
from driving import driver_of, lowered_chunk, planned_bytes, report, settings, steps_per_second
from traced import profile

COUNTS = counts((1, 16, 64, 256, 1024))
CHUNK = 2 if REHEARSE else 200


def main() -> None:
    """The program of each number of seeds is compiled beside the others, then measured alone."""
    configs = {
        n: settings("jaxsac:Pendulum-v1", n, replay_capacity=500 if REHEARSE else 20_000)
        for n in COUNTS
    }
    drivers = {n: driver_of(config) for n, config in configs.items()}
    programs = compile_all({n: functools.partial(lowered_chunk, drivers[n]) for n in COUNTS})
    for n in COUNTS:
        attempt("Pendulum-v1", measure, n, configs[n], drivers[n], programs[n], seeds=n)
    for n in (1, 64, 256):
        if n in drivers:
            attempt("profile", trace, n, drivers[n], seeds=n)


def measure(count: int, config, driver, program) -> None:
    """Memory and rate."""
    before, arrays_before = memory("bytes_in_use"), arrays()
    driver.start()
    jax.block_until_ready(driver._carry)
    row("memory planned", planned_bytes(config, driver) / 1e6, "MB", count)
    row("memory taken", (memory("bytes_in_use") - before) / 1e6, "MB", count)
    row("memory of the arrays", (arrays() - arrays_before) / 1e6, "MB", count)
    work = program.memory_analysis().temp_size_in_bytes
    row("memory of the program", work / 1e6, "MB", count)
    driver._learn_chunk = program
    rate = steps_per_second(driver, 3.0, chunk=5 * CHUNK if count == 1 else CHUNK)
    report("Pendulum-v1", rate, count)
    with gzip.open(RESULTS / f"chunk-{count}.hlo.gz", "wt") as file:
        file.write(program.as_text())


def memory(what: str) -> int:
    """Bytes on the card."""
    return (jax.local_devices()[0].memory_stats() or {}).get(what, 0)


def arrays() -> int:
    """Bytes of all arrays, without what the allocator adds to them."""
    return sum(x.nbytes for x in jax.live_arrays())


def trace(count: int, driver) -> None:
    """Kernels of a step."""
    driver._chunk = CHUNK
    profile("Pendulum-v1", lambda: driver.advance(10**9), CHUNK, count)


if __name__ == "__main__":
    leave(main)
