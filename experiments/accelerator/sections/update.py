"""`update` alone, in a scan and a dispatch each, beside what the card can do at most."""

from __future__ import annotations

import functools
import gzip
import os

from section import REHEARSE, RESULTS, attempt, compile_all, counts, leave, row, seconds_of  # isort: skip
import jax
import jax.numpy as jnp
from roofline import flops, update_products  # pyright: ignore[reportMissingImports]
from traced import profile

import jaxsac
from jaxsac.training import seed_axis

OBSERVATION, ACTION = 17, 6
HIDDEN, BATCH = ((16, 16), 8) if REHEARSE else ((256, 256), 256)
SCANNED = 3 if REHEARSE else 100
PRECISIONS = {"default": None, "float32": "highest"}
PRECISION = os.environ.get("ACCELERATOR_PRECISION", "default")
COUNTS = counts((1, 4, 16, 64, 256, 1024))
PROFILED = tuple(n for n in COUNTS if n in (1, 64, 256))
CASES = [(n, "scan") for n in COUNTS] + [(n, "dispatch") for n in PROFILED]
if PRECISION == "float32":  # whose products take the compiler ten seconds for each shape
    COUNTS = PROFILED = COUNTS[::4]
    CASES = [(n, "scan") for n in COUNTS]
PRODUCTS = update_products(OBSERVATION, ACTION, HIDDEN)


def main() -> None:
    """Ceilings, rates, kernels."""
    programs = compile_all({case: functools.partial(lowered, *case) for case in CASES})
    floor = attempt("floor", ceilings)
    one = jax.jit(agent)(jax.random.key(0))
    for case in programs:
        attempt(f"update, {case[1]}", measure, case, programs[case], one, floor, seeds=case[0])
    for count in PROFILED:
        attempt("profile", trace, programs, count, one, seeds=count)


def agent(key: jax.Array) -> jaxsac.State:
    """A fresh agent of HalfCheetah's shapes."""
    config = jaxsac.Config(hidden_sizes=HIDDEN)
    return jaxsac.init(key, jnp.zeros(OBSERVATION), jnp.zeros(ACTION), config)


def copy_rate() -> float:
    """Bytes read and written in a second by a copy of more than any cache holds."""
    size = 2**16 if REHEARSE else 2**29
    x = jax.random.normal(jax.random.key(0), (size,))
    copy = jax.jit(lambda x: x + 1)
    rate = 2 * x.nbytes / seconds_of(lambda: jax.block_until_ready(copy(x)))
    row("copy", rate / 1e9, "GB/s")
    return rate


def ceilings() -> float:
    """Seconds that one update takes at least.

    The larger of its arithmetic at the rate of the hidden layer's products in a batch, and its
    bytes at the rate of a copy: operands and results of each product once, and what the optimizer
    and the targets read and write.
    """
    count = 2 if REHEARSE else 256
    sizes = enumerate((BATCH, HIDDEN[0]))
    a, b = (jax.random.normal(jax.random.key(i), (count, n, HIDDEN[0])) for i, n in sizes)
    multiply = jax.jit(functools.partial(jnp.matmul, precision=PRECISIONS[PRECISION]))
    seconds = seconds_of(lambda: jax.block_until_ready(multiply(a, b)))
    rate = count * 2 * BATCH * HIDDEN[0] ** 2 / seconds
    row("batched products", rate / 1e12, "TFLOP/s", count, PRECISION)
    arithmetic, memory = flops(PRODUCTS, BATCH) / rate, update_bytes() / copy_rate()
    row("floor: arithmetic", 1e6 * arithmetic, "µs", setting=PRECISION)
    row("floor: memory", 1e6 * memory, "µs", setting=PRECISION)
    return max(arithmetic, memory)


def update_bytes() -> int:
    """Bytes of the products' operands and results, and of the steps of the optimizers."""
    floats = sum(BATCH * p.inputs + p.inputs * p.outputs + BATCH * p.outputs for p in PRODUCTS)
    struct = jax.eval_shape(agent, jax.random.key(0))
    trained = sum(x.size for x in jax.tree.leaves((struct.actor.params, struct.critic.params)))
    targets = sum(x.size for x in jax.tree.leaves(struct.critic.target_params))
    # Gradient, parameter and two moments are read, the last three written; targets both.
    return 4 * (floats + 7 * trained + 2 * targets)


def function(count: int, mode: str):
    """The program of a case: (state, batch, key) -> state."""
    over = seed_axis.axis(count, "vmap").over_members(jaxsac.update)

    def once(state, batch, key):
        return over(state, batch, jax.random.split(key, count))[0]

    def scan(state, batch, key):
        keys = jax.random.split(key, SCANNED)
        return jax.lax.scan(lambda s, k: (once(s, batch, k), None), state, keys)[0]

    return jax.jit(scan if mode == "scan" else once, donate_argnums=0)


def arguments(count: int, one: jaxsac.State):
    """Agents and batches of random numbers."""
    expand = jax.jit(lambda s: jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), s))
    keys = jax.random.split(jax.random.key(2), 4)
    sizes = [(count, BATCH, n) for n in (OBSERVATION, ACTION, OBSERVATION)]
    observation, action, following = (
        jax.random.uniform(k, s, minval=-1) for k, s in zip(keys, sizes, strict=False)
    )
    reward = jax.random.normal(keys[3], (count, BATCH))
    batch = jaxsac.Transition(observation, action, reward, jnp.ones_like(reward), following)
    return expand(one), batch, jax.random.key(3)


def lowered(count: int, mode: str):
    """The traced program of a case."""
    structs = jax.eval_shape(lambda: arguments(count, agent(jax.random.key(0))))
    with jax.default_matmul_precision(PRECISIONS[PRECISION]):
        return function(count, mode).lower(*structs)


def caller(program, count: int, one: jaxsac.State):
    """A function that does the work of a program once more."""
    state, batch, key = arguments(count, one)

    def call() -> None:
        nonlocal state
        state = jax.block_until_ready(program(state, batch, key))

    return call


def measure(case, program, one, floor) -> None:
    """One case's rate, and its share of the floor."""
    count, mode = case
    each = SCANNED if mode == "scan" else 1
    seconds = seconds_of(caller(program, count, one)) / each / count
    row(f"update, {mode}", 1 / seconds, "seed-updates/s", count, PRECISION)
    row(f"update, {mode}, one for all", 1e6 * seconds * count, "µs", count, PRECISION)
    if floor:
        row(f"update, {mode}, of floor", floor / seconds, "", count, PRECISION)


def trace(programs, count: int, one: jaxsac.State) -> None:
    """Kernels of an update, and its compiled program."""
    program = programs[count, "scan"]
    text = program.as_text()
    with gzip.open(RESULTS / f"update-{count}-{PRECISION}.hlo.gz", "wt") as file:
        file.write(text)
    profile("update, scan", caller(program, count, one), SCANNED, count)


if __name__ == "__main__":
    leave(main)
