"""How a loss becomes a step: optimizers, built by optax, and what follows their steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxsac.sac.apply import Variables
from jaxsac.sac.config import Scalar
from jaxsac.sac.losses import Result
from jaxsac.sac.projection import PROJECTIONS, ProjectionName
from jaxsac.sac.state import Metrics, Trained
from jaxsac.types import Params


class Optimizer(NamedTuple):
    """An optax transformation, and where parameters are brought after each of its steps."""

    transform: optax.GradientTransformation
    project: Callable[[Params], Params]

    def start(self, variables: Variables) -> Trained:
        """The node of a network before the first step; `variables` as `Module.init` returns."""
        collections = dict(variables)
        params = self.project(collections.pop("params", {}))
        return Trained(params, self.transform.init(params), collections)


def make_optimizer(learning_rate: Scalar, projection: ProjectionName = "none") -> Optimizer:
    """Adam (Kingma & Ba 2015) with its usual constants, and a projection after each step."""
    # eps_root keeps the derivative of sqrt finite at a zero second moment (a unit that never
    # fired), so an update can itself be differentiated; in value it is below rounding.
    return Optimizer(optax.adam(learning_rate, eps_root=1e-20), PROJECTIONS[projection])


def minimize(
    name: str, loss: Callable[..., Result], optimizer: Optimizer, trained: Any, *args: Any
) -> tuple[Any, Metrics]:
    """One step of an optimizer on `loss(params, *args)`.

    Args:
      name: of the metrics `<name>_loss` and `<name>_gradient_norm`.
      loss: as in `sac.losses`.
      optimizer: takes the step.
      trained: a `Trained`, or a node that has more fields than it.
      *args: of the loss.

    Returns:
      The node after the step, and the loss's metrics with those two.
    """
    (value, (info, collections)), gradient = jax.value_and_grad(loss, has_aux=True)(
        trained.params, *args
    )
    updates, opt_state = optimizer.transform.update(gradient, trained.opt_state, trained.params)
    params = optimizer.project(optax.apply_updates(trained.params, updates))
    trained = trained.replace(params=params, opt_state=opt_state, collections=collections)
    return trained, _named(name, info, value, optax.tree.norm(gradient))


def assess(
    name: str, loss: Callable[..., Result], optimizer: Optimizer, trained: Any, *args: Any
) -> tuple[Any, Metrics]:
    """What `minimize` returns in an update that leaves `trained` as it is."""
    del optimizer
    value, (info, _) = loss(trained.params, *args)
    return trained, _named(name, info, value, jnp.zeros_like(value))


def _named(name: str, info: Metrics, loss: jax.Array, gradient_norm: jax.Array) -> Metrics:
    return Metrics(info, **{f"{name}_loss": loss, f"{name}_gradient_norm": gradient_norm})
