"""What all sections share: their time, their rows, how they compile and how they measure."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_END = [time.monotonic() + 600.0]
REHEARSE = "ACCELERATOR_REHEARSE" in os.environ
RESULTS = Path(os.environ.get("ACCELERATOR_RESULTS", "."))
# Rows go to the real standard output; whatever a library prints goes to standard error.
ROWS = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
REPOSITORY = Path(__file__).resolve().parents[3]
FOLDERS = ("src", "experiments/performance", "tests", "tests/sac")
sys.path[:0] = [str(REPOSITORY / folder) for folder in FOLDERS]
COMPILED = Path(os.environ.get("TMPDIR", "/tmp")) / f"jaxsac-accelerator-{os.getuid()}"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(COMPILED))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")


def counts(usual: tuple[int, ...]) -> tuple[int, ...]:
    """Numbers of seeds: tiny ones in a rehearsal, or those in ACCELERATOR_SEEDS."""
    if REHEARSE:
        return (1, 2)
    chosen = os.environ.get("ACCELERATOR_SEEDS", "")
    return tuple(int(number) for number in chosen.split(",")) if chosen else usual


def left() -> float:
    """Seconds of this section's share."""
    return _END[0] - time.monotonic()


def wait_for_card() -> None:
    """Waits for this section's turn: `run.py` then says how many seconds it has."""
    if not sys.stdin.isatty() and (line := sys.stdin.readline()):
        _END[0] = time.monotonic() + float(line)


def row(
    what: str, value: float | str, unit: str = "", seeds: int | str = "", setting: str = "",
    note: str = "",
) -> None:  # fmt: skip
    """Writes down one finding."""
    facts = {"what": what, "seeds": seeds, "setting": setting, "value": value, "unit": unit}
    print(json.dumps({**facts, "note": note}), file=ROWS, flush=True)


def leave(main: Callable[[], Any]) -> None:
    """Runs a section, and ends the process without waiting for what still compiles."""
    main()
    ROWS.flush()
    os._exit(0)


def attempt(what: str, function: Callable[..., Any], *args: Any, seeds: int | str = "") -> Any:
    """What a function returns for its arguments; what it raises is a row."""
    if left() < 3 and not REHEARSE:
        return row(what, "", seeds=seeds, note="no time left")
    try:
        return function(*args)
    except Exception as error:
        import traceback

        traceback.print_exc()
        return row(what, "", seeds=seeds, note=f"{type(error).__name__}: {error}"[:300])


def compile_all(tracers: Mapping[Any, Callable[[], Any]]) -> dict[Any, Any]:
    """Traces programs one after the other, compiles them side by side, and waits for the card.

    Args:
      tracers: by name, functions that return a `jax.stages.Lowered`.

    Returns:
      The compiled programs, all of them: a rate is not measured beside this section's compilers.
      Those of others may still be at work.
    """
    traced = {name: attempt(f"tracing {name}", trace) for name, trace in tracers.items()}
    with ThreadPoolExecutor(max_workers=12) as pool:
        futures = {
            name: pool.submit(one.compile) for name, one in traced.items() if one is not None
        }
        programs = {name: future.result() for name, future in futures.items()}
    wait_for_card()
    return programs


def seconds_of(call: Callable[[], Any], repeats: int = 5, at_least: float = 0.2) -> float:
    """Median seconds of one call of a function that returns when its work is done."""
    call()
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    times = 1 if REHEARSE else max(1, round(at_least / max(once, 1e-6)))
    measured = []
    for _ in range(2 if REHEARSE else repeats):
        start = time.perf_counter()
        for _ in range(times):
            call()
        measured.append((time.perf_counter() - start) / times)
    return statistics.median(measured)
