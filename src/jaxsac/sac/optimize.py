"""How a loss becomes a step: optimizers, built by optax, and what follows their steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxsac.sac.apply import Variables
from jaxsac.sac.config import Config, Scalar
from jaxsac.sac.losses import Result
from jaxsac.sac.projection import PROJECTIONS
from jaxsac.sac.state import Metrics, Trained
from jaxsac.types import Params


class Optimizer(NamedTuple):
    """An optax transformation, and where parameters are brought after each of its steps."""

    transform: optax.GradientTransformation
    project: Callable[[Params], Params]

    def start(self, params: Params, collections: Variables) -> Trained:
        """Parameters and collections before the first step."""
        params = self.project(params)
        return Trained(params, self.transform.init(params), collections)


def adam(learning_rate: Scalar) -> optax.GradientTransformation:
    """Adam (Kingma & Ba 2015) with its usual constants."""
    # eps_root keeps the derivative of sqrt finite at a zero second moment (a unit that never
    # fired), so an update can itself be differentiated; in value it is below rounding.
    return optax.adam(learning_rate, eps_root=1e-20)


def network_optimizer(config: Config, learning_rate: Scalar) -> Optimizer:
    """What trains a network; `config` names the projection."""
    return Optimizer(adam(learning_rate), PROJECTIONS[config.projection])


def temperature_optimizer(learning_rate: Scalar) -> Optimizer:
    """What trains log α."""
    return Optimizer(adam(learning_rate), PROJECTIONS["none"])


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
    updates, _ = optimizer.transform.update(gradient, trained.opt_state, trained.params)
    # The moments once more, hidden from the compiler's search for equal terms: it then computes
    # them where they are written, together with the guard of `update`, and not in a pass of their
    # own through memory. Worth 2 % of an update on a CPU.
    _, opt_state = optimizer.transform.update(
        jax.lax.optimization_barrier(gradient), trained.opt_state, trained.params
    )
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
