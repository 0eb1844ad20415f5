"""The settings of an agent: static structure, and float leaves."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal, get_args

import jax
from flax import linen as nn
from flax import struct

from jaxsac.sac.forward import ForwardName
from jaxsac.sac.layers import (
    ActivationName,
    BodyName,
    InitializerName,
    NetworkSettings,
    NormalizationName,
)
from jaxsac.sac.pessimism import PessimismName
from jaxsac.sac.projection import ProjectionName

Scalar = float | jax.Array
ActorGradientName = Literal["total", "path", "score"]
LogStdMapName = Literal["clip", "tanh", "softplus"]
AlphaLossName = Literal["log_alpha", "alpha"]
OrderName = Literal["critics_first", "actor_first"]
CHOICES = {
    "body": BodyName,
    "activation": ActivationName,
    "normalization": NormalizationName,
    "initializer": InitializerName,
    "actor_body": BodyName,
    "actor_normalization": NormalizationName,
    "critic_body": BodyName,
    "critic_normalization": NormalizationName,
    "target_pessimism": PessimismName,
    "actor_pessimism": PessimismName,
    "forward": ForwardName,
    "projection": ProjectionName,
    "order": OrderName,
    "actor_gradient": ActorGradientName,
    "log_std_map": LogStdMapName,
    "alpha_loss": AlphaLossName,
}
"""What the names in a `Config` may be."""
OWN = ("actor_body", "actor_norm", "critic_body", "critic_norm")
"""Beginnings of the names that may be None, for that of both networks."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Static structure: a new value compiles a new program."""

    hidden_sizes: tuple[int, ...] = (256, 256)
    """Units of each hidden layer, for every network without sizes of its own."""
    activation: ActivationName = "relu"
    """Activation after each hidden layer."""
    num_critics: int = 2
    """Size of the critic ensemble."""
    actor_hidden_sizes: tuple[int, ...] | None = None
    """Units of each hidden layer of the actor; None: hidden_sizes."""
    critic_hidden_sizes: tuple[int, ...] | None = None
    """Units of each hidden layer of the critics and of the value network; None: hidden_sizes."""
    body: BodyName = "mlp"
    """Hidden layers one after the other (mlp), or residual blocks with LayerNorm, one for each of
    hidden_sizes, which must be alike (residual, as SimBa has it)."""
    actor_body: BodyName | None = None
    """Body of the actor; None: body."""
    critic_body: BodyName | None = None
    """Body of the critics and of the value network; None: body."""
    normalization: NormalizationName = "none"
    """What is applied before each activation: nothing or LayerNorm."""
    actor_normalization: NormalizationName | None = None
    """Normalization in the actor; None: normalization."""
    critic_normalization: NormalizationName | None = None
    """Normalization in the critics and in the value network; None: normalization."""
    target_pessimism: PessimismName = "minimum"
    """What the Bellman target makes of the ensemble: its minimum or mean."""
    actor_pessimism: PessimismName = "minimum"
    """What the actor climbs: the ensemble's minimum or mean."""
    forward: ForwardName = "apart"
    """Critics at the next state: a slowly moving copy of them (apart), or themselves, in one batch
    with the state and without a copy (joint)."""
    value_network: bool = False
    """Bootstrap from a state-value network V and its target instead of target critics, as SAC was
    first published (arXiv:1801.01290); alpha_lr 0 and initial_alpha 1 / reward scale are that
    paper's fixed temperature."""
    order: OrderName = "critics_first"
    """Whether an update trains the critics or the actor first; each sees what the other has
    become."""
    actor_every: int = 1
    """Updates for one step of actor and temperature."""
    projection: ProjectionName = "none"
    """Where actor and critics are brought after each step: nowhere, or to weights of norm 1 for
    each unit (unit_norm)."""
    actor_gradient: ActorGradientName = "total"
    """Estimator of the actor's gradient: total, path (the score term left out) or score (the
    likelihood ratio with a baseline)."""
    actor_samples: int = 1
    """Actions drawn for each state of a batch in the actor's loss."""
    log_std_min: float = -10.0
    """Lower bound of the policy's log standard deviation (before tanh)."""
    log_std_max: float = 2.0
    """Upper bound of the policy's log standard deviation (before tanh); softplus has none."""
    log_std_map: LogStdMapName = "clip"
    """How the network's output x becomes log σ: clipped to the bounds; tanh(x) spread over them; or
    softplus, σ = exp(log_std_min) + log(1 + exp(x))."""
    log_prob_epsilon: float = 0.0
    """ε in the log-probability's log(1 - tanh²(u) + ε). 0 is exact; other libraries have 1e-6."""
    alpha_loss: AlphaLossName = "log_alpha"
    """Temperature loss: log α · (H - H̄), or α · (H - H̄); log α is trained in both."""
    target_entropy_scale: float = 1.0
    """The default target entropy is -target_entropy_scale·dim(A)."""
    initializer: InitializerName = "orthogonal"
    """Initial weights: orthogonal with gain √2; Flax's default; Brax's; or PyTorch's default."""
    actor: nn.Module | None = None
    """Custom network: observation -> (mean, log_std), each (B, A). A Linen module which bounds
    log_std itself: the sizes, activation, initializer and log_std_* above are those of the default
    one. It may have collections besides its parameters, such as batch statistics, and draw numbers
    by the key "dropout"; an argument `train` of its `__call__` says whether it is in training. A
    field `action_size` that is None is given the number of actions. The trainer takes it by name,
    as `--actor module:Class`."""
    critic: nn.Module | None = None
    """Custom network: (observation, action) -> q, (E, B), likewise."""

    def __post_init__(self) -> None:
        for name in ("hidden_sizes", "actor_hidden_sizes", "critic_hidden_sizes"):
            if getattr(self, name) is None and name != "hidden_sizes":
                continue
            sizes = tuple(getattr(self, name))
            object.__setattr__(self, name, sizes)
            if not sizes or min(sizes) < 1:
                raise ValueError(f"{name} must be positive, got {sizes}.")
        for name, kind in CHOICES.items():
            value, choices = getattr(self, name), get_args(kind)
            if value not in choices and not (value is None and name.startswith(OWN)):
                raise ValueError(f"{name} must be one of {choices}, got {value!r}.")
        for settings in (self.actor_settings, self.critic_settings):
            if settings.body == "residual" and len(set(settings.hidden_sizes)) > 1:
                raise ValueError(
                    "the hidden_sizes of a residual body are its blocks and must be alike, got "
                    f"{settings.hidden_sizes}."
                )
        for name in ("num_critics", "actor_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.value_network and self.forward != "apart":
            raise ValueError(
                f"forward {self.forward!r}: with a value network the critics are not asked about "
                "the next state."
            )
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

    @property
    def actor_settings(self) -> NetworkSettings:
        """How the default actor is built."""
        return self._settings("actor")

    @property
    def critic_settings(self) -> NetworkSettings:
        """How the default critics are built, and the value network."""
        return self._settings("critic")

    def _settings(self, network: str) -> NetworkSettings:
        def own(name: str) -> Any:
            value = getattr(self, f"{network}_{name}")
            return getattr(self, name) if value is None else value

        return NetworkSettings(
            own("body"), own("hidden_sizes"), self.activation, own("normalization"),
            self.initializer,
        )  # fmt: skip


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
    averaging); without effect where there are no targets."""
    target_entropy: Scalar | None = None
    """Entropy that α steers to, in nats, with actions in [-1, 1]; None means
    -target_entropy_scale·dim(A)."""
    initial_alpha: Scalar = 1.0
    """Temperature at the start."""
