"""Multiplications and additions in the matrix products of a step: `python operations.py`.

Counted in the traced program, for HalfCheetah's shapes. Where an actor is updated every k-th time,
the two branches count by how often they are taken.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

import jaxsac
from jaxsac.runs.settings import of_keywords
from jaxsac.sac import presets

OBSERVATION, ACTION = 17, 6


def of_settings(**settings: Any) -> float:
    """Operations for each transition, of the agent that `jaxsac.train` makes of some settings."""
    config = of_keywords("HalfCheetah-v4", **settings)
    observation, action = jnp.zeros(OBSERVATION), jnp.zeros(ACTION)

    def init(key: jax.Array) -> jaxsac.State:
        return jaxsac.init(key, observation, action, config.agent, config.hyperparameters)

    def rows(*shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((config.batch_size, *shape), jnp.float32)

    states, actions = rows(OBSERVATION), rows(ACTION)
    batch = jaxsac.Transition(states, actions, rows(), rows(), states)
    key = jax.random.key(0)
    traced = jax.make_jaxpr(jaxsac.update)(jax.eval_shape(init, key), batch, key)
    return config.utd * _of_program(traced.jaxpr, config.agent.actor_every)


def _of_program(program: Any, actor_every: int) -> float:
    """Operations of a jaxpr and of those within it."""
    total = 0.0
    for equation in program.eqns:
        if equation.primitive.name == "dot_general":
            total += _of_product(equation)
        elif equation.primitive.name == "cond":
            each = [_of_program(b.jaxpr, actor_every) for b in equation.params["branches"]]
            seldom, often = max(each), min(each)
            total += often + (seldom - often) / actor_every
        else:
            times = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
            within = filter(_is_program, jax.tree.leaves(equation.params, is_leaf=_is_program))
            total += times * sum(_of_program(_open(x), actor_every) for x in within)
    return total


def _of_product(equation: Any) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left, out = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    return 2.0 * math.prod(out) * math.prod(left[i] for i in contracted)


def _is_program(x: Any) -> bool:
    return hasattr(x, "eqns") or hasattr(x, "jaxpr")


def _open(x: Any) -> Any:
    return x if hasattr(x, "eqns") else x.jaxpr


def main() -> None:
    """A table of the presets of algorithms."""
    plain = of_settings()
    print("| preset | MFLOP a step | × plain SAC |\n|---|---|---|")
    for name in presets.ALGORITHMS:
        operations = of_settings(preset=name)
        print(f"| {name} | {operations / 1e6:,.0f} | {operations / plain:.1f} |")


if __name__ == "__main__":
    main()
