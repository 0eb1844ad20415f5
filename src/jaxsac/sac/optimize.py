"""How a loss becomes an optimizer step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax

from jaxsac.sac.state import Scalar
from jaxsac.types import Params


class Step(NamedTuple):
    """What one optimizer step returns."""

    params: Params
    opt_state: Any
    loss: jax.Array
    info: Any
    gradient_norm: jax.Array


class Steps(NamedTuple):
    """The optimizer steps of one update."""

    critic: Step
    actor: Step
    temperature: Step
    value: Step | None = None
    """None without a value network."""


def adam(learning_rate: Scalar) -> optax.GradientTransformation:
    """Adam (Kingma & Ba 2015) with its usual constants."""
    # eps_root keeps the derivative of sqrt finite at a zero second moment (a unit that never
    # fired), so an update can itself be differentiated; in value it is below rounding.
    return optax.adam(learning_rate, eps_root=1e-20)


def minimize(
    loss: Callable[..., tuple[jax.Array, Any]],
    optimizer: optax.GradientTransformation,
    params: Params,
    opt_state: Any,
    *args: Any,
) -> Step:
    """One step of `optimizer` on `loss(params, *args) -> (scalar, info)`."""
    (value, info), gradient = jax.value_and_grad(loss, has_aux=True)(params, *args)
    updates, _ = optimizer.update(gradient, opt_state, params)
    # The moments once more, hidden from the compiler's search for equal terms: it then computes
    # them where they are written, together with the guard of `update`, and not in a pass of their
    # own through memory. Worth 2 % of an update on a CPU.
    _, opt_state = optimizer.update(jax.lax.optimization_barrier(gradient), opt_state, params)
    params = optax.apply_updates(params, updates)
    return Step(params, opt_state, value, info, optax.tree.norm(gradient))
