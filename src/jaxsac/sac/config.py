"""The settings of an agent: static structure, and float leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import jax
from flax import linen as nn
from flax import struct

from jaxsac.sac import choices
from jaxsac.sac.choices import (
    ActorGradientName,
    AlphaLossName,
    LogStdMapName,
    OptimizerName,
    OrderName,
    ScheduleName,
)
from jaxsac.sac.forward import ActorForwardName, ForwardName
from jaxsac.sac.heads import HeadName
from jaxsac.sac.layers import (
    ActivationName,
    BodyName,
    EncoderName,
    InitializerName,
    NetworkSettings,
    PositionName,
)
from jaxsac.sac.normalization import (
    BATCH_NORMALIZATIONS,
    BatchNormSettings,
    NormalizationName,
)
from jaxsac.sac.pessimism import PessimismName
from jaxsac.sac.projection import ProjectionName

Scalar = float | jax.Array


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
    """Hidden layers one after the other (mlp); or residual blocks, one for each of hidden_sizes,
    which must be alike: with LayerNorm (residual, as SimBa has it), or of two layers with their own
    normalization and RMSNorm at the end (inverted_residual, as FlashSAC has it)."""
    actor_body: BodyName | None = None
    """Body of the actor; None: body."""
    critic_body: BodyName | None = None
    """Body of the critics and of the value network; None: body."""
    normalization: NormalizationName = "none"
    """What is applied beside each activation: nothing, LayerNorm, batch normalization, or batch
    renormalization."""
    actor_normalization: NormalizationName | None = None
    """Normalization in the actor; None: normalization."""
    critic_normalization: NormalizationName | None = None
    """Normalization in the critics and in the value network; None: normalization."""
    normalization_position: PositionName = "before"
    """Whether normalization comes before the activation of its layer or after it."""
    normalize_inputs: bool = False
    """Normalize what goes into each network too."""
    batch_norm_momentum: float = 0.99
    """Decay of the running averages of batch normalization, per batch."""
    batch_norm_epsilon: float = 1e-5
    """ε under the root of batch normalization."""
    renorm_warmup: int = 100_000
    """Batches before batch renormalization goes by the running averages."""
    hidden_biases: bool = True
    """Biases in all layers but the last, which has them always."""
    critic_dropout_rate: float = 0.0
    """Share of the hidden units of the critics, and of the value network, that an update drops."""
    head: HeadName = "scalar"
    """What a critic says: Q (scalar); quantiles of the return, trained by the Huber quantile loss
    (quantile); or probabilities of atoms, trained by cross-entropy (categorical)."""
    num_quantiles: int = 25
    """Quantiles of each critic with the quantile head."""
    num_atoms: int = 101
    """Atoms of each critic with the categorical head."""
    value_bound: float = 5.0
    """The atoms lie in [-value_bound, value_bound], and so must returns."""
    target_pessimism: PessimismName = "minimum"
    """What the Bellman target makes of the ensemble: its minimum (of distributions, that of the
    lowest mean), its mean, the minimum of a subset drawn for each batch (random_subset), or all
    quantiles in one pool without the highest (truncated)."""
    actor_pessimism: PessimismName = "minimum"
    """What the actor climbs, likewise."""
    subset_size: int = 2
    """Critics in a random subset."""
    dropped_quantiles: int = 2
    """Quantiles that a truncated pool leaves out, for each critic."""
    forward: ForwardName = "apart"
    """Critics at the next state: a slowly moving copy of them (apart); themselves, in one batch
    with the state and without a copy (joint); or the copy, in training and on that batch as well
    (joint_with_targets)."""
    actor_forward: ActorForwardName = "apart"
    """Whether batch statistics of the actor in training are those of the states alone (apart) or of
    the next states too (joint)."""
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
    """Projection of actor and critics at the start and after each step: none; weights of norm 1
    for each unit (unit_norm); or with scale and shift of each normalization at √units too
    (unit_norm_affine)."""
    optimizer: OptimizerName = "adam"
    """Of actor and critics: Adam with its usual constants, or AdamW with adam_b1, adam_b2, adam_eps
    and weight_decay. The temperature has Adam."""
    clip_gradients: bool = False
    """Whether gradients of actor and critics are cut to the norm max_gradient_norm."""
    lr_schedule: ScheduleName = "constant"
    """How learning rates go from their start to final_lr_scale times that, in schedule_updates."""
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
    encoder: EncoderName = "auto"
    """What images, bytes of (H, W, C), are to the default networks: features of a convolutional
    encoder that the critics train and the actor reads (auto), or pixels in a row (flat)."""
    random_shift: int = 0
    """Pixels that the images of a batch are moved by at most, at random (DrQ); 0: none."""
    initializer: InitializerName = "orthogonal"
    """Initial weights: orthogonal, with gain √2; lecun_normal, Flax's default; lecun_uniform,
    Brax's; or torch, PyTorch's default."""
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
            sizes = getattr(self, name)
            if isinstance(sizes, Iterable) and not isinstance(sizes, str):
                object.__setattr__(self, name, tuple(sizes))
        choices.check(self)

    @property
    def actor_settings(self) -> NetworkSettings:
        """How the default actor is built."""
        return self._settings("actor")

    @property
    def critic_settings(self) -> NetworkSettings:
        """How the default critics are built, and the value network."""
        return self._settings("critic")

    @property
    def normalizes_by_batch(self) -> bool:
        """Whether a default network has statistics of batches."""
        networks = (self.actor_settings, self.critic_settings)
        return any(each.normalization in BATCH_NORMALIZATIONS for each in networks)

    def _settings(self, network: str) -> NetworkSettings:
        def own(name: str) -> Any:
            value = getattr(self, f"{network}_{name}")
            return getattr(self, name) if value is None else value

        return NetworkSettings(
            body=own("body"),
            hidden_sizes=own("hidden_sizes"),
            activation=self.activation,
            normalization=own("normalization"),
            initializer=self.initializer,
            normalization_position=self.normalization_position,
            normalize_inputs=self.normalize_inputs,
            hidden_biases=self.hidden_biases,
            dropout_rate=self.critic_dropout_rate if network == "critic" else 0.0,
            encoder=self.encoder,
            batch_norm=BatchNormSettings(
                self.batch_norm_momentum, self.batch_norm_epsilon, self.renorm_warmup
            ),
        )


class Hyperparameters(struct.PyTreeNode):
    """Float leaves carried in the state: a new value never recompiles, and any can be vmapped."""

    actor_lr: Scalar = 3e-4
    """Learning rate of the actor."""
    critic_lr: Scalar = 3e-4
    """Learning rate of the critics, and of the value network."""
    alpha_lr: Scalar = 3e-4
    """Learning rate of log α; 0 keeps the temperature at initial_alpha."""
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
    adam_b1: Scalar = 0.9
    """β₁ of AdamW: decay of the mean gradient, per step."""
    adam_b2: Scalar = 0.999
    """β₂ of AdamW: decay of the mean squared gradient, per step."""
    adam_eps: Scalar = 1e-8
    """ε of AdamW, added to the root of the mean squared gradient."""
    weight_decay: Scalar = 0.0
    """Weight decay of AdamW: a step takes learning rate × weight_decay of each parameter off."""
    max_gradient_norm: Scalar = 1.0
    """Norm that gradients are cut to with clip_gradients."""
    final_lr_scale: Scalar = 0.0
    """Learning rates at the end of lr_schedule, in those of its start."""
    schedule_updates: Scalar = 1_000_000.0
    """Updates that lr_schedule takes; actor and temperature go by their own steps, one in
    actor_every updates."""
