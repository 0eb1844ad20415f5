"""`update` of each algorithm of the family in a scan, in those of plain SAC."""

from __future__ import annotations

import dataclasses
import functools

from section import REHEARSE, attempt, compile_all, leave, row, seconds_of  # isort: skip
import jax
import jax.numpy as jnp
from traced import profile

import jaxsac
from jaxsac.sac import presets
from jaxsac.sac.policy import is_due
from jaxsac.training import seed_axis

OBSERVATION, ACTION = 17, 6
SCANNED = 2 if REHEARSE else 60
"""A multiple of all periods in which an actor steps."""
SEEDS, MANY = (2, 2) if REHEARSE else (3, 10)
NARROW = {"critic_hidden_sizes": (256, 256)}
TINY = {"critic_hidden_sizes": (8, 8), "actor_hidden_sizes": (8, 8)}


def rows() -> dict[str, presets.Preset]:
    """By name: those that take longest last, so that they are what has no time left."""
    named = {
        "plain": presets.Preset(), **presets.ALGORITHMS,
        "crossq, critics 256²": changed(presets.ALGORITHMS["crossq"], NARROW),
    }  # fmt: skip
    order = ["plain", "fast", "flashsac", "xqc", "redq", "droq", "crossq, critics 256²", "tqc",
             "simba", "crossq"]  # fmt: skip
    if REHEARSE:
        return {name: changed(named[name], TINY)._replace(batch_size=4) for name in order[:2]}
    return {name: named[name] for name in order}


def changed(preset: presets.Preset, sizes) -> presets.Preset:
    """The same with networks of other widths."""
    return preset._replace(config=dataclasses.replace(preset.config, **sizes))


def main() -> None:
    """Times of an update, and what the kernels of the two newest are."""
    made = rows()
    many = [(name, MANY) for name in ("plain", "fast", "flashsac") if name in made]
    cases = [*[(name, SEEDS) for name in list(made)[:4]], *many]
    cases += [(name, SEEDS) for name in list(made)[4:]]
    programs = compile_all(
        {case: functools.partial(lowered, made[case[0]], case[1]) for case in cases}
    )
    plain: dict[int, float] = {}
    for name, seeds in programs:
        program = programs[name, seeds]
        attempt(f"update of {name}", measure, name, made[name], seeds, program, plain, seeds=seeds)
    for name in ("flashsac", "fast"):
        if (name, MANY) in programs:
            attempt("profile", trace, name, made[name], programs[name, MANY], seeds=MANY)


def arguments(preset: presets.Preset, count: int):
    """Agents and a batch of random numbers for each."""
    keys = jax.random.split(jax.random.key(2), 5)
    shape = (count, preset.batch_size)
    batch = jaxsac.Transition(
        jax.random.normal(keys[0], (*shape, OBSERVATION)),
        jax.random.uniform(keys[1], (*shape, ACTION), minval=-1, maxval=1),
        jax.random.normal(keys[2], shape),
        jnp.ones(shape),
        jax.random.normal(keys[3], (*shape, OBSERVATION)),
    )
    observation, action = jnp.zeros(OBSERVATION), jnp.zeros(ACTION)
    states = jax.vmap(
        lambda key: jaxsac.init(key, observation, action, preset.config, preset.hyperparameters)
    )(jax.random.split(keys[4], count))
    return states, batch, keys[0]


def lowered(preset: presets.Preset, count: int):
    """The traced program: as the runner's learning step, members update together."""
    over = seed_axis.axis(count, "vmap").over_members

    def once(states, batch, key):
        due = is_due(jax.tree.map(lambda x: x[0], states))
        update = functools.partial(jaxsac.update, actor_due=due)
        return over(update)(states, batch, jax.random.split(key, count))[0]

    def scan(states, batch, key):
        keys = jax.random.split(key, SCANNED)
        return jax.lax.scan(lambda s, k: (once(s, batch, k), None), states, keys)[0]

    structs = jax.eval_shape(functools.partial(arguments, preset, count))
    return jax.jit(scan, donate_argnums=0).lower(*structs)


def caller(program, preset: presets.Preset, count: int):
    """A function that makes the updates of a program once more."""
    states, batch, key = jax.jit(functools.partial(arguments, preset, count))()

    def call() -> None:
        nonlocal states
        states = jax.block_until_ready(program(states, batch, key))

    return call


def measure(name: str, preset: presets.Preset, count: int, program, plain) -> None:
    """The time of an update of all seeds, and how often plain SAC's it is."""
    seconds = seconds_of(caller(program, preset, count), repeats=3) / SCANNED
    row(f"update of {name}", 1e6 * seconds, "µs", count)
    if name == "plain":
        plain[count] = seconds
    if count in plain:
        row(f"update of {name}, in plain SAC's", seconds / plain[count], "", count)


def trace(name: str, preset: presets.Preset, program) -> None:
    """Kernels of an update of many seeds."""
    profile(f"update of {name}", caller(program, preset, MANY), SCANNED, MANY)


if __name__ == "__main__":
    leave(main)
