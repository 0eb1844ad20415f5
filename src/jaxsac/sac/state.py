"""What an agent is made of: static structure, float leaves, the state and its metrics."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal, NamedTuple

import jax
from flax import linen as nn
from flax import struct

from jaxsac.types import Params, Spec

Scalar = float | jax.Array
ACTIVATIONS = ("relu", "tanh", "silu", "gelu", "elu")
ACTOR_GRADIENTS = ("total", "path", "score")
LOG_STD_MAPS = ("clip", "tanh", "softplus")
ALPHA_LOSSES = ("log_alpha", "alpha")
INITIALIZERS = ("orthogonal", "lecun_normal", "lecun_uniform", "torch")


@dataclasses.dataclass(frozen=True)
class Config:
    """Static structure: a new value compiles a new program."""

    hidden_sizes: tuple[int, ...] = (256, 256)
    """Units of each hidden layer, for every network."""
    activation: Literal["relu", "tanh", "silu", "gelu", "elu"] = "relu"
    """Activation after each hidden layer."""
    num_critics: int = 2
    """Size of the critic ensemble; targets and the actor use the minimum over all of it."""
    layer_norm: bool = False
    """LayerNorm before each activation."""
    value_network: bool = False
    """Bootstrap from a state-value network V and its target instead of target critics, as SAC was
    first published (arXiv:1801.01290); alpha_lr 0 and initial_alpha 1 / reward scale are that
    paper's fixed temperature."""
    actor_gradient: Literal["total", "path", "score"] = "total"
    """Estimator of the actor's gradient: total, path (the score term left out) or score (the
    likelihood ratio with a baseline)."""
    actor_samples: int = 1
    """Actions drawn for each state of a batch in the actor's loss."""
    log_std_min: float = -10.0
    """Lower bound of the policy's log standard deviation (before tanh)."""
    log_std_max: float = 2.0
    """Upper bound of the policy's log standard deviation (before tanh); softplus has none."""
    log_std_map: Literal["clip", "tanh", "softplus"] = "clip"
    """How the network's output x becomes log σ: clipped to the bounds; tanh(x) spread over them; or
    softplus, σ = exp(log_std_min) + log(1 + exp(x))."""
    log_prob_epsilon: float = 0.0
    """ε in the log-probability's log(1 - tanh²(u) + ε). 0 is exact; other libraries have 1e-6."""
    alpha_loss: Literal["log_alpha", "alpha"] = "log_alpha"
    """Temperature loss: log α · (H - H̄), or α · (H - H̄); log α is trained in both."""
    target_entropy_scale: float = 1.0
    """The default target entropy is -target_entropy_scale·dim(A)."""
    initializer: Literal["orthogonal", "lecun_normal", "lecun_uniform", "torch"] = "orthogonal"
    """Initial weights: orthogonal with gain √2; Flax's default; Brax's; or PyTorch's default."""
    actor: nn.Module | None = None
    """Custom network: observation -> (mean, log_std), each (B, A). A Linen module with parameters
    alone, which bounds log_std itself: the sizes, activation, initializer and log_std_* above are
    those of the default one. For `init`; the trainer has no flag for it."""
    critic: nn.Module | None = None
    """Custom network: (observation, action) -> q, (E, B), likewise."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden_sizes", tuple(self.hidden_sizes))
        if not self.hidden_sizes or min(self.hidden_sizes) < 1:
            raise ValueError(f"hidden_sizes must be positive, got {self.hidden_sizes}.")
        if self.num_critics < 1:
            raise ValueError(f"num_critics must be at least 1, got {self.num_critics}.")
        for name, choices in (
            ("activation", ACTIVATIONS),
            ("actor_gradient", ACTOR_GRADIENTS),
            ("log_std_map", LOG_STD_MAPS),
            ("alpha_loss", ALPHA_LOSSES),
            ("initializer", INITIALIZERS),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}.")
        if self.actor_samples < 1:
            raise ValueError(f"actor_samples must be at least 1, got {self.actor_samples}.")
        if not self.log_std_min < self.log_std_max:
            raise ValueError(
                f"log_std_min {self.log_std_min} is not below log_std_max {self.log_std_max}."
            )
        if not 0 <= self.log_prob_epsilon < 1:
            raise ValueError(f"log_prob_epsilon must be in [0, 1), got {self.log_prob_epsilon}.")
        if not math.isfinite(self.target_entropy_scale):
            raise ValueError(
                f"target_entropy_scale must be a number, got {self.target_entropy_scale}."
            )


class Hyperparameters(struct.PyTreeNode):
    """Float leaves carried in the state: a new value never recompiles, and any can be vmapped."""

    actor_lr: Scalar = 3e-4
    """Adam step size of the actor."""
    critic_lr: Scalar = 3e-4
    """Adam step size of the critics, and of the value network."""
    alpha_lr: Scalar = 3e-4
    """Adam step size of log α; 0 keeps the temperature at initial_alpha."""
    gamma: Scalar = 0.99
    """Discount factor per environment step."""
    tau: Scalar = 0.005
    """Share of the critics, or of the value network, moved into the targets at each update (Polyak
    averaging)."""
    target_entropy: Scalar | None = None
    """Entropy that α steers to, in nats, with actions in [-1, 1]; None means
    -target_entropy_scale·dim(A)."""
    initial_alpha: Scalar = 1.0
    """Temperature at the start."""


class State(struct.PyTreeNode):
    """Everything that `update` reads and returns; a fixed point in structure, shapes and dtypes."""

    actor_params: Params
    critic_params: Params
    target_critic_params: Params
    """None with a value network."""
    log_alpha: jax.Array
    actor_opt_state: Any
    critic_opt_state: Any
    alpha_opt_state: Any
    step: jax.Array
    """Updates applied, int32 scalar."""
    skipped: jax.Array
    """Updates left out because a loss or gradient was not finite, int32 scalar."""
    hyperparameters: Hyperparameters
    config: Config = struct.field(pytree_node=False)
    observation_spec: Spec = struct.field(pytree_node=False)
    action_spec: Spec = struct.field(pytree_node=False)
    value_params: Params = None
    """None, like the two below, without a value network (`Config.value_network`)."""
    target_value_params: Params = None
    value_opt_state: Any = None


class Metrics(NamedTuple):
    """Scalars of one update, computed beside the losses."""

    critic_loss: jax.Array
    actor_loss: jax.Array
    alpha_loss: jax.Array
    alpha: jax.Array
    """Temperature used in this update."""
    entropy: jax.Array
    """Estimate of the policy's entropy from all actions drawn in the batch, nats."""
    q_mean: jax.Array
    """Mean prediction over batch and ensemble."""
    target_mean: jax.Array
    """Mean Bellman target."""
    critic_gradient_norm: jax.Array
    actor_gradient_norm: jax.Array
    alpha_gradient_norm: jax.Array
    skipped: jax.Array
    """Updates left out so far because they were not finite."""
    value_loss: jax.Array | None = None
    """None, like the two below, without a value network (`Config.value_network`)."""
    value_mean: jax.Array | None = None
    """Mean of V over the batch."""
    value_gradient_norm: jax.Array | None = None
