"""What an update costs in matrix products: `python cost.py` counts them and prints the table.

They are counted in the program that JAX makes of `jaxsac.update`, before the compiler sees it, for
17 observations and 6 actions, as HalfCheetah has them. Nothing is computed.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxsac
from jaxsac.sac import presets

OBSERVATION, ACTION = 17, 6


class Cost(NamedTuple):
    """Operations in matrix products, multiplications and additions."""

    update: float
    """Mean over updates with and without a step of the actor."""
    step: float
    """Of the updates for one environment step."""


def cost(preset: presets.Preset) -> Cost:
    """Counts the products of one update with these settings."""
    observation = jax.ShapeDtypeStruct((OBSERVATION,), jnp.float32)
    action = jax.ShapeDtypeStruct((ACTION,), jnp.float32)
    key = jax.random.key(0)
    state = jax.eval_shape(
        lambda key: jaxsac.init(key, observation, action, preset.config, preset.hyperparameters),
        key,
    )
    scalar = jax.ShapeDtypeStruct((), jnp.float32)
    one = jaxsac.Transition(observation, action, scalar, scalar, observation)
    batch = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((preset.batch_size, *x.shape), x.dtype), one
    )
    program = jax.make_jaxpr(jaxsac.update)(state, batch, key)
    operations = products(program.jaxpr, 1 / preset.config.actor_every)
    return Cost(operations, operations * preset.utd)


def products(jaxpr: Any, share: float) -> float:
    """Operations in the products of a program; of a condition the second branch runs so often."""
    total = 0.0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            total += _operations(equation)
        elif equation.primitive.name == "cond":
            without, with_it = (products(b.jaxpr, share) for b in equation.params["branches"])
            total += (1 - share) * without + share * with_it
        else:
            for value in equation.params.values():
                inner = getattr(value, "jaxpr", value)
                total += products(inner, share) if hasattr(inner, "eqns") else 0
    return total


def _operations(equation: Any) -> int:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left, result = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    return 2 * math.prod(result) * math.prod(left[axis] for axis in contracted)


def main() -> None:
    """Prints a row for plain SAC and each preset."""
    plain = cost(presets.Preset())
    print("| preset | batch | products of an update, MFLOP | in plain SAC's | updates a step | "
          "of a step, in plain SAC's |\n|---|---|---|---|---|---|")  # fmt: skip
    for name, preset in {"plain": presets.Preset(), **presets.PRESETS}.items():
        update, step = cost(preset)
        print(
            f"| {name} | {preset.batch_size} | {update / 1e6:,.0f} | {update / plain.update:.3g} "
            f"| {preset.utd:g} | {step / plain.step:.3g} |"
        )


if __name__ == "__main__":
    main()
