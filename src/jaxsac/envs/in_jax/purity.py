"""Whether the functions of an environment in JAX are pure, looked for in what they are traced to.

A compiled program holds what tracing saw once: a number kept in `self`, or drawn from NumPy, is the
same in every step and every episode from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from jaxsac.envs.in_jax.device import Environment
from jaxsac.types import is_key


def impurity(env: Environment) -> str | None:
    """A sentence on the first function whose tracings differ; None where they are all alike.

    Args:
      env: one that has been traced before, so that what it makes once and keeps is there.

    Raises:
      Exception: what `reset` or `step` raises while it is traced.
    """
    key = jax.random.key(0)
    state = jax.eval_shape(env.reset, key)
    for name, arguments in (("reset", (key,)), ("step", (state, env.action))):
        once, again = (_fixed(getattr(env, name), *arguments) for _ in range(2))
        if once != again:
            return (
                f"{name} is not pure: traced again, it has other constants, such as a number kept "
                "in self or drawn from NumPy, of which a compiled program would repeat one for "
                "ever. Keep in the state what changes, and draw by a key."
            )
    return None


def _fixed(function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Operations and constants of a function, traced anew."""
    # JAX knows the tracing of a function by its identity, so each has a function of its own.
    return list(_parts(jax.make_jaxpr(lambda *each: function(*each))(*arguments)))


def _parts(program: Any) -> Iterator[Any]:
    # Not its text, which has addresses. Of what operations are told the plain numbers alone, such
    # as where a slice begins: calls of other libraries may be numbered.
    yield from map(_bits, getattr(program, "consts", ()))
    for operation in program.eqns:
        yield operation.primitive.name
        yield from _literals(operation.invars)
        for value in operation.params.values():
            for each in value if isinstance(value, tuple | list) else (value,):
                if hasattr(each, "eqns"):
                    yield from _parts(each)
                elif isinstance(each, int | float):
                    yield each
    yield from _literals(getattr(program, "jaxpr", program).outvars)


def _literals(operands: Any) -> list[bytes]:
    return [_bits(each.val) for each in operands if hasattr(each, "val")]


def _bits(constant: Any) -> bytes:
    keys = hasattr(constant, "dtype") and is_key(constant)
    return np.asarray(jax.random.key_data(constant) if keys else constant).tobytes()
