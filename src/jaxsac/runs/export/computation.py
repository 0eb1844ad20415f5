"""What the default actor computes, as layers with their arrays: what other runtimes are told.

From parameters by their names: `sac.bodies` in evaluation, without the dropout and the statistics
of batches that belong to training, and without the standard deviation, which the mode has no use
for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from jaxsac.data import normalize
from jaxsac.envs.action_map import ActionMap
from jaxsac.runs.policies.load import Policy
from jaxsac.sac.encoders import ENCODER
from jaxsac.sac.layers import ActivationName, NetworkSettings

LayerName = Literal["dense", "affine", "layer_norm", "rms_norm", "residual"] | ActivationName


class Input(NamedTuple):
    """One array of an observation, and how it becomes features."""

    path: tuple[str | int, ...]
    """Where it lies in nested dicts and tuples."""
    shape: tuple[int, ...]
    dtype: np.dtype
    mean: np.ndarray | None
    """Flat, with `scale`: x becomes (x - mean) · scale, within ± `data.normalize.LIMIT`."""
    scale: np.ndarray | None

    @property
    def divisor(self) -> int:
        """Bytes are pixels, and brought to [0, 1]."""
        return 255 if self.dtype == np.uint8 else 1


class Layer(NamedTuple):
    """A function of one array of features, by its name.

    - dense: x · kernel + bias, the bias being left out where there is none;
    - affine: (x - mean) · scale + bias, a batch normalization by its running averages;
    - rms_norm: x · scale / √(E[x²] + 1e-6), the mean being that over the features;
    - layer_norm: the same of x - E[x], + bias;
    - residual: x plus what the layers `inside` make of it;
    - an activation.
    """

    name: LayerName
    arrays: tuple[np.ndarray, ...] = ()
    inside: tuple[Layer, ...] = ()


class Computation(NamedTuple):
    """observation -> tanh of the last layer -> action, in the environment's units."""

    inputs: tuple[Input, ...]
    layers: tuple[Layer, ...]
    dtype: np.dtype
    """In which the layers compute."""
    action_map: ActionMap


def of_policy(policy: Policy) -> Computation:
    """What a policy with the default actor computes.

    Raises:
      ValueError: an actor of one's own, one with an encoder, or a dtype that NumPy does not have.
    """
    agent = policy.learned.agent
    if agent.config.actor is not None:
        raise ValueError(
            f"the actor of this run is a network of its own ({policy.settings['actor']}), of which "
            "only JAX knows what it computes: export it with --format stablehlo."
        )
    if ENCODER in agent.actor.collections:
        raise ValueError(
            "the actor of this run reads images by an encoder, which is not written as layers: "
            "export it with --format stablehlo."
        )
    dtype = np.dtype(agent.action_spec.tree.dtype)
    inputs = _inputs(policy)
    for name, found in (("agent", dtype), *(("observation", each.dtype) for each in inputs)):
        if found.kind not in "fiub" or (name == "agent" and found.itemsize < 4):
            raise ValueError(
                f"the {name} of this run is of {found}, in which other runtimes do not compute "
                "alike: export it with --format stablehlo."
            )
    ((_, params),) = agent.actor.params.items()
    (stats,) = agent.actor.collections.get("batch_stats", {None: {}}).values()
    settings = agent.config.actor_settings
    layers = _body(_Modules(jax.tree.map(np.asarray, (params, stats)), settings), settings)
    last, size = layers[-1].arrays, policy.action_map.size
    mean = Layer("dense", tuple(array[..., :size] for array in last))  # and not log σ
    return Computation(inputs, (*layers[:-1], mean), dtype, policy.action_map)


def _inputs(policy: Policy) -> tuple[Input, ...]:
    """The arrays of an observation in the order in which they are joined."""
    found = []
    for path, struct, moments in leaves_with_moments(policy):
        mean = scale = None
        if moments is not None:
            mean = np.ravel(moments.mean)
            variance = np.ravel(moments.squares) / moments.count.astype(mean.dtype)
            scale = 1 / np.sqrt(variance + mean.dtype.type(normalize.EPSILON))
        found.append(Input(keys_of(path), struct.shape, np.dtype(struct.dtype), mean, scale))
    return tuple(found)


def leaves_with_moments(policy: Policy) -> Iterator[tuple[Any, jax.ShapeDtypeStruct, Any]]:
    """The arrays of an observation: path, struct and moments, None where nothing is scaled."""
    moments = iter(policy.learned.normalizer)
    for path, struct in jax.tree.leaves_with_path(policy.observation_spec):
        scaled = policy.learned.normalizer and normalize.is_float(struct)
        counted = next(moments) if scaled else None
        yield path, struct, counted if counted is not None and counted.count > 0 else None


def keys_of(path: tuple[Any, ...]) -> tuple[str | int, ...]:
    """A path of JAX's in nested dicts and tuples, as names and numbers."""
    return tuple(part.key if hasattr(part, "key") else part.idx for part in path)


class _Modules:
    """A body's modules, each by the name that Flax gave it: kind and number of its kind so far."""

    def __init__(self, variables: tuple[Any, Any], settings: NetworkSettings) -> None:
        self._params, self._stats = variables
        self._settings, self._counts = settings, Counter[str]()

    def dense(self) -> Layer:
        params, _ = self._next("Dense")
        return Layer("dense", tuple(params[k] for k in ("kernel", "bias") if k in params))

    def layer_norm(self) -> Layer:
        params, _ = self._next("LayerNorm")
        return Layer("layer_norm", (params["scale"], params["bias"]))

    def rms_norm(self) -> Layer:
        return Layer("rms_norm", (self._next("RMSNorm")[0]["scale"],))

    def normalization(self) -> tuple[Layer, ...]:
        """The one that the settings name."""
        name = self._settings.normalization
        if name == "none":
            return ()
        if name == "layer":
            return (self.layer_norm(),)
        params, stats = self._next({"batch": "BatchNorm", "batch_renorm": "BatchRenorm"}[name])
        variance = stats["var"] + stats["var"].dtype.type(self._settings.batch_norm.epsilon)
        scale = params["scale"] / np.sqrt(variance)
        return (Layer("affine", (stats["mean"], scale, params["bias"])),)

    def hidden(self) -> tuple[Layer, ...]:
        """A hidden layer with its normalization and activation."""
        dense, normalization = self.dense(), self.normalization()
        activation = (Layer(self._settings.activation),)
        if self._settings.normalization_position == "before":
            return (dense, *normalization, *activation)
        return (dense, *activation, *normalization)

    def _next(self, kind: str) -> tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
        name = f"{kind}_{self._counts[kind]}"
        self._counts[kind] += 1
        return self._params[name], self._stats.get(name, {})


def _body(modules: _Modules, settings: NetworkSettings) -> tuple[Layer, ...]:
    """The layers of a body, in the order in which it makes its modules."""
    layers = modules.normalization() if settings.normalize_inputs else ()
    blocks = range(len(settings.hidden_sizes))
    if settings.body == "mlp":
        layers += tuple(layer for _ in blocks for layer in modules.hidden())
        return (*layers, modules.dense())
    layers += (modules.dense(),)
    if settings.body == "residual":
        for _ in blocks:
            inside = (modules.layer_norm(), *modules.hidden(), modules.dense())
            layers += (Layer("residual", inside=inside),)
        return (*layers, modules.layer_norm(), modules.dense())
    for _ in blocks:
        layers += (Layer("residual", inside=(*modules.hidden(), *modules.hidden())),)
    return (*layers, modules.rms_norm(), modules.dense())
