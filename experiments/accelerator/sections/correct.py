"""Whether the device computes what it should."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from section import REHEARSE, REPOSITORY, attempt, leave, left, row, wait_for_card  # isort: skip

import jax
import jax.numpy as jnp
import numpy as np
import oracle  # pyright: ignore[reportMissingImports]

import jaxsac
from jaxsac.data import replay
from jaxsac.training import seed_axis

OBSERVATION, ACTION = 17, 6
HIDDEN, BATCH = ((16, 16), 32) if REHEARSE else ((256, 256), 256)
GROUP, POISONED = 4, 2
CONFIG = jaxsac.Config(hidden_sizes=HIDDEN)


def main() -> None:
    """Each check is a row, with the number that it is judged by."""
    wait_for_card()
    runs = start_runs()
    for precision in ("default", "highest"):
        attempt("oracle", against_oracle, precision)
    attempt("members", members)
    attempt("insertion", insertion)
    for name, process in runs.items():
        attempt(name, finish, name, process)


def agent(seed: int) -> jaxsac.State:
    """With parameters of the sizes that training uses."""
    return jaxsac.init(jax.random.key(seed), jnp.zeros(OBSERVATION), jnp.zeros(ACTION), CONFIG)


def make_batch(seed: int) -> jaxsac.Transition:
    """Random transitions."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    return jaxsac.Transition(
        normal(BATCH, OBSERVATION),
        jnp.asarray(rng.uniform(-1, 1, (BATCH, ACTION)), jnp.float32),
        normal(BATCH),
        jnp.asarray(rng.uniform(size=BATCH) < 0.9, jnp.float32),
        normal(BATCH, OBSERVATION),
    )


def against_oracle(precision: str) -> None:
    """Gradients (Adam's first moments after one update) and losses, beside float64 NumPy."""
    state, batch, key = agent(0), make_batch(0), jax.random.key(1)
    noise = np.asarray(jax.random.normal(key, (2, BATCH, ACTION)), np.float64)
    before = jax.tree.map(lambda x: np.asarray(x, np.float64), oracle.from_state(state))
    wide = jax.tree.map(lambda x: np.asarray(x, np.float64), batch)
    hyper = jax.tree.map(float, state.hyperparameters)
    config = state.config
    expected, metrics = oracle.update(
        before, wide, noise[0], noise[1:], hyper, (config.log_std_min, config.log_std_max), "total"
    )
    with jax.default_matmul_precision(precision):
        after, measured = jax.jit(jaxsac.update)(state, batch, key)
    found = oracle.from_state(after)
    for what in ("actor_moments", "critic_moments"):
        difference = relative(found[what][1], expected[what][1])
        row(f"oracle, {what.partition('_')[0]} gradient", difference, "relative", setting=precision)
    worst = max(
        abs(float(measured[name]) - metrics[name]) / max(abs(metrics[name]), 1e-3)
        for name in ("critic_loss", "actor_loss", "entropy", "q_mean")
    )
    row("oracle, metrics", worst, "relative", setting=precision)


def relative(found, expected) -> float:
    """‖found - expected‖ / ‖expected‖ over lists of arrays."""
    off = sum(
        np.sum((np.asarray(a, np.float64) - b) ** 2) for a, b in zip(found, expected, strict=True)
    )
    return float(np.sqrt(off / sum(np.sum(np.asarray(b) ** 2) for b in expected)))


def members() -> None:
    """A member alone and in a group; beside one that is poisoned; the same twice."""
    states = [agent(seed) for seed in range(GROUP)]
    batches = [make_batch(seed) for seed in range(GROUP)]
    keys = jax.random.split(jax.random.key(5), GROUP)
    group = jax.jit(seed_axis.axis(GROUP, "vmap").over_members(jaxsac.update))
    whole, _ = group(stack(states), stack(batches), keys)
    again, _ = group(stack(states), stack(batches), keys)
    row("the same twice", bits(whole, again), "arrays differ")
    poisoned = list(batches)
    poisoned[POISONED] = batches[POISONED]._replace(
        reward=batches[POISONED].reward.at[3].set(jnp.nan)
    )
    beside, metrics = group(stack(states), stack(poisoned), keys)
    others = np.array([k for k in range(GROUP) if k != POISONED])
    row(
        "beside a poisoned member",
        bits(of_members(beside, others), of_members(whole, others)),
        "arrays differ",
    )
    skipped = np.asarray(metrics.skipped).tolist()
    row("skipped", str(skipped), note="one expected" if sum(skipped) == 1 else "WRONG")
    order = np.array([2, 0, 3, 1])
    permuted, _ = group(*jax.tree.map(lambda x: x[order], (stack(states), stack(batches), keys)))
    row("permuted", bits(permuted, of_members(whole, order)), "arrays differ")
    alone, _ = jax.jit(jaxsac.update)(states[1], batches[1], keys[1])
    mine = of_members(whole, 1)
    row("alone", bits(alone, mine), "arrays differ")
    row("alone, gradients", relative(gradients(alone), gradients(mine)), "relative")


def stack(trees):
    """Of all members, on a leading axis."""
    return jax.tree.map(lambda *x: jnp.stack(x), *trees)


def of_members(tree, which):
    """The rows of some."""
    return jax.tree.map(lambda x: x[which], tree)


def gradients(state: jaxsac.State) -> list[jax.Array]:
    """Adam's first moments, which after one update are a tenth of them."""
    return jax.tree.leaves((state.actor.opt_state[0].mu, state.critic.opt_state[0].mu))


def bits(a, b) -> int:
    """How many leaves differ in a bit."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return sum(not np.array_equal(np.asarray(x), np.asarray(y)) for x, y in pairs)


def insertion() -> None:
    """Whether an insert into a donated ring stays in place."""
    from section import seconds_of

    example = jax.tree.map(lambda x: x[0], make_batch(0))
    rows = jax.tree.map(lambda x: x[:1], make_batch(0))
    add = jax.jit(replay.add, donate_argnums=0)
    for capacity in (1_000, 10_000) if REHEARSE else (10_000, 1_000_000):
        buffer = jax.jit(functools.partial(replay.init, capacity, example))()

        def call() -> None:
            nonlocal buffer
            buffer = jax.block_until_ready(add(buffer, rows))

        call()
        before = buffer.rows["float32"].unsafe_buffer_pointer()
        seconds = seconds_of(call, at_least=0.1)
        same = buffer.rows["float32"].unsafe_buffer_pointer() == before
        row("insertion", 1e6 * seconds, "µs", setting=f"{capacity:,} rows",
            note="in place" if same else "COPIED")  # fmt: skip


TRAIN = """
import sys, jax, jaxsac
run = jaxsac.train(
    "jaxsac:Pendulum-v1", seeds=2, steps=int(sys.argv[2]), directory=sys.argv[1],
    learning_starts=100, batch_size=32, hidden_sizes=(32, 32), replay_capacity=1000,
    eval_every=0, log_every=100, progress=False,
)
rows = run.metrics
print(jax.default_backend(), rows["step"].max(), rows["q_mean"][-1], run.complete)
"""


def start_runs() -> dict[str, subprocess.Popen]:
    """Trainings that begin on one platform and go on on the other, and one in double precision."""
    device = "cpu" if jax.default_backend() == "cpu" else "cuda"
    folder = tempfile.mkdtemp()
    script = Path(folder) / "train.py"
    script.write_text(TRAIN)

    def chain(name: str, *platforms: str, x64: bool = False) -> subprocess.Popen:
        precision = "JAX_ENABLE_X64=1 " if x64 else ""
        each = [
            f"{precision}JAX_PLATFORMS={platform} {sys.executable} {script} {folder}/{name} {steps}"
            for platform, steps in zip(platforms, (200, 400), strict=False)
        ]
        environment = os.environ | {
            "PYTHONPATH": f"{REPOSITORY}/src:{os.environ.get('PYTHONPATH', '')}"
        }
        return subprocess.Popen(
            " && ".join(each), shell=True, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    return {
        "begun on the CPU": chain("there", "cpu", device),
        "begun on the device": chain("back", device, "cpu"),
        "double precision": chain("double", device, x64=True),
    }


def finish(name: str, process: subprocess.Popen) -> None:
    """The last words of a chain."""
    text, _ = process.communicate(timeout=None if REHEARSE else max(left(), 1))
    print(text, file=sys.stderr)
    lines = [line for line in text.splitlines() if line.strip()]
    row(name, process.returncode, "status", note=" | ".join(lines[-2:])[:200])


if __name__ == "__main__":
    leave(main)
