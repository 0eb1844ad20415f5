"""What `update` reads and returns: the state of an agent, and the metrics of a step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
from flax import serialization, struct

from jaxsac.sac.apply import Variables
from jaxsac.sac.config import Config, Hyperparameters
from jaxsac.types import Params, Spec


class Trained(struct.PyTreeNode):
    """Something that a loss trains: a network, or the temperature."""

    params: Params
    opt_state: Any
    collections: Variables
    """What the network carries besides its parameters, such as batch statistics; often {}."""

    @property
    def variables(self) -> Variables:
        """Parameters and collections, as `Module.apply` takes them."""
        return {"params": self.params, **self.collections}

    @property
    def carried(self) -> tuple[Variables, ...]:
        """The collections of all networks of this node."""
        return (self.collections,)


class State(struct.PyTreeNode):
    """Everything that `update` reads and returns; a fixed point in structure, shapes and dtypes."""

    actor: Trained
    critic: Trained
    """The ensemble, and whatever its choices need beside it: `critics.TargetedCritics`, say."""
    temperature: Trained
    """Its params are log α, scalar."""
    step: jax.Array
    """Updates applied, int32 scalar."""
    skipped: jax.Array
    """Updates left out because a loss or gradient was not finite, int32 scalar."""
    hyperparameters: Hyperparameters
    config: Config = struct.field(pytree_node=False)
    observation_spec: Spec = struct.field(pytree_node=False)
    action_spec: Spec = struct.field(pytree_node=False)

    @property
    def alpha(self) -> jax.Array:
        """The temperature α."""
        return jnp.exp(self.temperature.params)

    @property
    def acting(self) -> State:
        """What `act` reads, and None in place of all else."""
        nothing: Any = None
        return self.replace(
            actor=self.actor.replace(opt_state=nothing), critic=nothing, temperature=nothing,
            step=nothing, skipped=nothing, hyperparameters=nothing,
        )  # fmt: skip


@jax.tree_util.register_pytree_with_keys_class
class Metrics(dict[str, jax.Array]):
    """Scalars of one update by name, each computed beside its loss, in the order of computation.

    A dict whose values are attributes too: `metrics["entropy"]` is `metrics.entropy`. What there
    is follows from the configuration; with plain SAC

    - alpha: temperature before this update;
    - target_mean, q_mean: means of the Bellman targets and of the predictions over the ensemble;
    - entropy: estimate of the policy's entropy from all actions drawn in the batch, nats;
    - critic_loss, actor_loss, alpha_loss, and the *_gradient_norm of each; where the actor steps in
      every `actor_every`-th update alone, its own and the temperature's are NaN in between;
    - skipped: updates left out so far because they were not finite.
    """

    def __getattr__(self, name: str) -> jax.Array:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no metric {name!r}; there are {list(self)}.") from None

    def tree_flatten_with_keys(self) -> tuple[list[tuple[Any, Any]], tuple[str, ...]]:
        """For JAX: the values, with their names as the structure."""
        return [(jax.tree_util.DictKey(k), v) for k, v in self.items()], tuple(self)

    @classmethod
    def tree_unflatten(cls, names: tuple[str, ...], values: Iterable[Any]) -> Metrics:
        """For JAX."""
        return cls(zip(names, values, strict=True))


# So that `flax.serialization` takes them as it takes a state.
serialization.register_serialization_state(
    Metrics,
    lambda metrics: serialization.to_state_dict(dict(metrics)),
    lambda metrics, saved: Metrics(serialization.from_state_dict(dict(metrics), saved)),
)
