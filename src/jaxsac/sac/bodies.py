"""The bodies of default networks, (*inputs) -> (B, output_size): a choice of `Config.body`.

The names of their submodules are part of what is saved, and of the keys that initial weights are
drawn from.
"""

from __future__ import annotations

import jax
from flax import linen as nn

from jaxsac.sac.layers import Body, BodyName
from jaxsac.types import PyTree


class MLP(Body):
    """Hidden layers one after the other; a linear output layer."""

    @nn.compact
    def __call__(self, *inputs: PyTree) -> jax.Array:
        """(B, output_size) of all leaves of the inputs, joined."""
        x = self.inputs(inputs)
        for size in self.settings.hidden_sizes:
            x = self.hidden(x, size)
        return self.dense(x, self.output_size)


class Residual(Body):
    """Blocks x + W₂ act(W₁ LN(x)) with four times as many units inside, and a last LayerNorm.

    The body of SimBa (Lee et al. 2024, arXiv:2410.09754), without its scale of observations, which
    is the trainer's. Every hidden size is a block, and all are alike. A normalization that the
    settings name comes beside these, in the layer inside.
    """

    @nn.compact
    def __call__(self, *inputs: PyTree) -> jax.Array:
        """(B, output_size) of all leaves of the inputs, joined."""
        size, biases = self.settings.hidden_sizes[0], self.settings.hidden_biases
        x = self.dense(self.inputs(inputs), size, biases)
        for _ in self.settings.hidden_sizes:
            inside = self.hidden(self.layer_normalized(x), 4 * size)
            x = x + self.dense(inside, size, biases)
        return self.dense(self.layer_normalized(x), self.output_size)


class InvertedResidual(Body):
    """Blocks x + h₂(h₁(x)) of two hidden layers, the first four times as wide, and a last RMSNorm.

    Each hidden layer has its normalization and activation, the first layer of all has none: with
    batch normalization, also of the inputs, without biases, and with its weights on the unit sphere
    the body of FlashSAC (arXiv:2604.04539). Every hidden size is a block, and all are alike.
    """

    @nn.compact
    def __call__(self, *inputs: PyTree) -> jax.Array:
        """(B, output_size) of all leaves of the inputs, joined."""
        size = self.settings.hidden_sizes[0]
        x = self.dense(self.inputs(inputs), size, self.settings.hidden_biases)
        for _ in self.settings.hidden_sizes:
            x = x + self.hidden(self.hidden(x, 4 * size), size)
        x = nn.RMSNorm(epsilon=1e-6, param_dtype=self.param_dtype)(x)
        return self.dense(x, self.output_size)


BODIES: dict[BodyName, type[Body]] = {
    "mlp": MLP,
    "residual": Residual,
    "inverted_residual": InvertedResidual,
}
