"""What can go wrong on a machine before any training, looked for in a few seconds."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
from jax.stages import Compiled

from jaxsac.data import replay
from jaxsac.envs.checked import close_and_tell
from jaxsac.runs.directory import releases
from jaxsac.runs.settings.config import RunConfig
from jaxsac.sac import agent as sac
from jaxsac.sac.config import Config
from jaxsac.training import memory, seed_axis
from jaxsac.training.carry import Carry
from jaxsac.training.driver import learning_structs
from jaxsac.training.drivers import make_driver
from jaxsac.training.seed_axis import SeedAxis
from jaxsac.types import Finding, Transition, same_bits, transition_of

SLOWDOWN = 1.5
"""Of an insert into a hundredfold larger replay, from which it is not in place."""
FEW_INSERTS, MANY_INSERTS = 20, 1000
"""In one compiled loop: few take seconds even where each copies the buffer, and among many the
start of the loop, which is as slow for either replay, counts for little."""
REPEATS, MEASURING_SECONDS = 25, 3.0
"""At most so many, and none is begun after so long."""

OBSERVATION = jax.ShapeDtypeStruct((17,), jnp.float32)
ACTION = jax.ShapeDtypeStruct((6,), jnp.float32)
SMALL = Config(hidden_sizes=(32, 32))


def examine(config: RunConfig | None, directory: Path) -> list[Finding]:
    """All checks.

    Args:
      config: a planned run, or None.
      directory: where runs are to be written.

    Raises:
      ValueError, ModuleNotFoundError: the planned run's environment cannot be made.
    """
    findings = [check_versions(), check_devices(), check_inserts(), check_repeats(), check_guard()]
    if config is not None:
        axis = seed_axis.axis(config.population, config.seed_layout, config.agent)
        population = config.to_population()
        driver = make_driver(population, axis)
        learning = learning_structs(population, driver.observation, driver.action)
        program = driver.compile(learning) if memory.needs_program(learning) else None
        close_and_tell(config.env, driver)
        findings += [check_memory(axis, learning, program), check_disk(learning, directory)]
    return findings


def check_versions() -> Finding:
    """Names the versions, and a release that is known to be bad."""
    detail = ", ".join(f"{name} {version}" for name, version in releases.versions().items())
    bad = releases.known_bad()
    return _finding("versions", bad is None, detail, bad or "")


def check_devices() -> Finding:
    """Names the devices that seeds would be laid over."""
    kinds = [f"{device.platform} ({device.device_kind})" for device in seed_axis.local_devices()]
    return _finding("devices", True, f"{len(kinds)} × {kinds[0]}")


def check_inserts() -> Finding:
    """Whether an insert costs as much in a small replay as in a large one, also in a loop."""
    small, large = 10_000, 1_000_000
    ratio = _slowdown(small, large, FEW_INSERTS)
    if ratio < SLOWDOWN:
        ratio = _slowdown(small, large, MANY_INSERTS)
    return _finding(
        "replay in place",
        ratio < SLOWDOWN,
        f"an insert into {large:,} rows takes {ratio:.2f} × one into {small:,}",
        f"an insert into {large:,} rows takes {ratio:.1f} × one into {small:,}: this jaxlib copies "
        "the buffer; use another release, or a small --replay-capacity",
    )


def check_repeats() -> Finding:
    """Whether the same update gives the same bits twice."""
    state, batch, key = _learner()
    first, again = (sac.update(state, batch, key)[0] for _ in range(2))
    same = same_bits(first, again)
    return _finding(
        "determinism",
        same,
        "the same update twice gives the same bits",
        "the same update twice gives other bits: runs here cannot be repeated exactly",
    )


def check_guard() -> Finding:
    """Whether a batch with a NaN leaves a learner as it was."""
    state, batch, key = _learner()
    after, _ = sac.update(state, batch._replace(reward=batch.reward.at[0].set(jnp.nan)), key)
    kept = same_bits(after.replace(skipped=state.skipped), state) and int(after.skipped) == 1
    return _finding(
        "guard against NaN",
        kept,
        "a batch with a NaN leaves the learner as it was, and is counted",
        "a batch with a NaN changed the learner: this is a defect, please report it",
    )


def check_memory(axis: SeedAxis, learning: Carry, program: Compiled | None) -> Finding:
    """Whether the planned run fits into memory."""
    try:
        return _finding("memory", True, memory.plan(axis, learning, program=program).describe())
    except MemoryError as error:
        return _finding("memory", False, "", str(error))


def check_disk(learning: Carry, directory: Path) -> Finding:
    """Whether the planned run's checkpoints fit on the disk."""
    # Two are kept, and a third is written before the oldest goes.
    needed = 3 * memory.num_bytes(learning)
    existing = next(p for p in (directory, *directory.absolute().parents) if p.exists())
    free = shutil.disk_usage(existing).free
    detail = f"checkpoints take up to {memory.human(needed)}, {memory.human(free)} free"
    return _finding(
        "disk", needed < free, detail, f"{detail}: lower --replay-capacity or the number of seeds"
    )


def _finding(what: str, good: bool, detail: str, remedy: str = "") -> Finding:
    return Finding(what, "good" if good else "bad", detail if good else remedy)


def _slowdown(small: int, large: int, inserts: int) -> float:
    """Of inserts into a ring of the large capacity.

    Another program can only make a repeat slower, so the fastest of each ring counts; the two take
    turns, so that a busy spell meets both.
    """
    loops = [_insert_loop(capacity, inserts) for capacity in (small, large)]
    seconds, end = [], time.monotonic() + MEASURING_SECONDS
    while not seconds or (len(seconds) < REPEATS and time.monotonic() < end):
        seconds.append([run() for run in loops])
    of_small, of_large = (min(column) for column in zip(*seconds, strict=True))
    return of_large / of_small


def _insert_loop(capacity: int, inserts: int) -> Callable[[], float]:
    """Inserts into a ring of its own, and returns how long that took."""
    transition = transition_of(OBSERVATION, ACTION)
    rows = jax.tree.map(lambda s: jnp.zeros((1, *s.shape), s.dtype), transition)

    def insert_many(buffer: replay.Buffer) -> replay.Buffer:
        # Always into the same rows: in a large ring new ones would lie in memory not yet touched.
        buffer = buffer.replace(position=jnp.zeros((), jnp.int32))
        return jax.lax.fori_loop(0, inserts, lambda _, ring: replay.add(ring, rows), buffer)

    buffer = replay.init(capacity, transition)
    insert = jax.jit(insert_many, donate_argnums=0).lower(buffer).compile()

    def run() -> float:
        nonlocal buffer
        start = time.perf_counter()
        buffer = jax.block_until_ready(insert(buffer))
        return time.perf_counter() - start

    return run


def _learner() -> tuple[sac.State, Transition, jax.Array]:
    state = sac.init(jax.random.key(0), OBSERVATION, ACTION, SMALL)
    batch = jax.tree.map(
        lambda s: jax.random.normal(jax.random.key(1), (64, *s.shape), s.dtype),
        transition_of(OBSERVATION, ACTION),
    )
    return state, batch, jax.random.key(2)
