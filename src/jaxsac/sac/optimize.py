"""How a loss becomes a step: optimizers, built by optax, and what follows their steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxsac.sac.apply import Variables
from jaxsac.sac.choices import ScheduleName
from jaxsac.sac.config import Config, Hyperparameters, Scalar
from jaxsac.sac.losses import Result
from jaxsac.sac.projection import PROJECTIONS
from jaxsac.sac.state import Metrics, State, Trained
from jaxsac.types import Params

EPS_ROOT = 1e-20


class Optimizer(NamedTuple):
    """An optax transformation, and where parameters are brought after each of its steps."""

    transform: optax.GradientTransformation
    project: Callable[[Params], Params]

    def start(self, variables: Variables) -> Trained:
        """The node of a network before the first step; `variables` as `Module.init` returns."""
        collections = dict(variables)
        params = self.project(collections.pop("params", {}))
        return Trained(params, self.transform.init(params), collections)


def make_optimizer(
    network: Literal["actor", "critic", "alpha"], config: Config, hyper: Hyperparameters
) -> Optimizer:
    """The optimizer of a network, or of the temperature, and the projection after each step.

    Adam with its usual constants (Kingma & Ba 2015), or AdamW (Loshchilov & Hutter 2019,
    arXiv:1711.05101) with those of `hyper`, if need be after clipping the gradient to a norm. The
    temperature's is always plain Adam; its learning rate follows the schedule too.
    """
    rate = getattr(hyper, f"{network}_lr")
    if config.lr_schedule != "constant":
        # The actor and the temperature count their own steps, one in `actor_every` updates.
        every = 1 if network == "critic" else config.actor_every
        rate = scheduled(config.lr_schedule, rate, hyper, every)
    # eps_root keeps the derivative of sqrt finite at a zero second moment (a unit that never
    # fired), so an update can itself be differentiated; in value it is below rounding.
    if network == "alpha":
        return Optimizer(optax.adam(rate, eps_root=EPS_ROOT), PROJECTIONS["none"])
    if config.optimizer == "adam":
        transform = optax.adam(rate, eps_root=EPS_ROOT)
    else:
        transform = optax.adamw(
            rate, hyper.adam_b1, hyper.adam_b2, hyper.adam_eps, EPS_ROOT,
            weight_decay=hyper.weight_decay,
        )  # fmt: skip
    if config.clip_gradients:
        transform = optax.chain(optax.clip_by_global_norm(hyper.max_gradient_norm), transform)
    return Optimizer(transform, PROJECTIONS[config.projection])


def scheduled(
    name: ScheduleName, rate: Scalar, hyper: Hyperparameters, every: int = 1
) -> Callable[[Any], jax.Array]:
    """A learning rate by the number of steps taken.

    η(x) = η₁ + (η₀ - η₁) (1 - x), or η₁ + (η₀ - η₁) ½ (1 + cos πx), with x the part of the schedule
    that is done, at most 1, and η₁ = final_lr_scale · η₀.

    Args:
      name: "linear" or "cosine".
      rate: η₀.
      hyper: has the final scale, and how many updates the schedule takes.
      every: updates for one step.
    """

    def learning_rate(count: Any) -> jax.Array:
        done = jnp.minimum(count * every / hyper.schedule_updates, 1)
        left = 1 - done if name == "linear" else 0.5 * (1 + jnp.cos(jnp.pi * done))
        return rate * (hyper.final_lr_scale + (1 - hyper.final_lr_scale) * left)

    return learning_rate


def rewound(state: State) -> State:
    """The state with the schedules of learning rates at their start, and moments as they are."""

    def is_schedule(node: Any) -> bool:
        return isinstance(node, optax.ScaleByScheduleState)

    def rewind(node: Any) -> Any:
        return jax.tree.map(np.zeros_like, node) if is_schedule(node) else node

    return jax.tree.map(rewind, state, is_leaf=is_schedule)


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
    norm = optax.tree.norm(gradient)
    return trained, Metrics(info, **{f"{name}_loss": value, f"{name}_gradient_norm": norm})
