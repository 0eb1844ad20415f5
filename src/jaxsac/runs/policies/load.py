"""The policy of a run, where neither its environment nor its critics are."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxsac import packages
from jaxsac.data import frame_stack
from jaxsac.runs.directory.directory import RunDirectory, RunDirectoryError
from jaxsac.runs.directory.spaces import Spaces
from jaxsac.runs.policies import acting
from jaxsac.runs.settings.config import RunConfig
from jaxsac.training import learner
from jaxsac.training.carry import Policy as LearnedPolicy
from jaxsac.types import PyTree, Spec, check_key, is_traced

_act = jax.jit(learner.act)
NUMBERS = (np.bool_, np.integer, np.floating)
"""Kinds of what an observation is made of."""


class Policy:
    """What one member of a run has learned: `policy(observation)` is the action.

    Attributes:
      observation_spec: structs of what it acts on, as it is learned on: one observation, or a
        stack of the latest ones; nested dicts and tuples.
      frame_stack: observations of a stack, which `jaxsac.FrameStack` makes; 1 for none.
      action_low, action_high: the bounds of the actions.
      spaces: of the environment that it was trained in.
      step: transitions of training after which it was saved.
      settings: of its run, by name.
      learned: the actor and the scale of observations, with None for the rest of the agent.
      action_map: from [-1, 1] to the bounds.
    """

    def __init__(
        self, policy: LearnedPolicy, spaces: Spaces, step: int, settings: dict[str, Any]
    ) -> None:
        self.spaces, self.frame_stack = spaces, settings.get("frame_stack", 1)
        self.observation_spec: PyTree = frame_stack.structs(spaces.observation, self.frame_stack)
        self.step, self.settings = step, settings
        self.learned, self.action_map = policy, spaces.action_map
        low, high, shape, dtype = spaces.action_map
        self.action_low = low.astype(dtype).reshape(shape)
        self.action_high = high.astype(dtype).reshape(shape)

    def __repr__(self) -> str:
        return f"<policy of {self.settings['env']}, step {self.step:,}>"

    def __call__(self, observation: PyTree, key: int | jax.Array | None = None) -> np.ndarray:
        """Acts as the agent did in its run, in the environment's own units.

        Args:
          observation: as the environment returns it, or the stack of the latest ones, with any
            leading axes; lists and other dtypes are taken where no digits of a whole number are
            lost.
          key: a JAX key, or a number to make one of, to draw the action; by default it is the mode.

        Returns:
          The action within its bounds, with the same leading axes.

        Raises:
          ValueError: another structure or shape, what is no number or not finite, or a number of
            more bits than a key is made of; says what is expected.
          TypeError: a key that is none, or a call under `jax.jit` or another transformation.
        """
        observation = _as_learned_on(self.observation_spec, observation, "observation")
        lead = Spec.of(self.observation_spec).batch_shape("observation", observation)
        if isinstance(key, int | np.integer) and not isinstance(key, bool):
            try:
                key = jax.random.key(int(key))
            except OverflowError as error:
                raise ValueError(f"key is {key}, expected a number of 64 bits.") from error
        if key is not None:
            check_key(key)
        action = np.asarray(_act(self.learned, observation, key))
        mapped = self.action_map(action.reshape(-1, self.action_map.size))
        return mapped.reshape((*lead, *self.action_map.shape))


# Without arrays, so that functions of an agent get as far as saying that this is none.
jax.tree_util.register_pytree_node(Policy, lambda policy: ((), policy), lambda policy, _: policy)


def load_policy(
    directory: os.PathLike[str] | str,
    seed: int = 0,
    which: int | Literal["latest", "best"] = "latest",
    point: int | None = None,
) -> Policy:
    """Reads the policy of one seed of a run; its environment need not be installed.

    Only the actor is read, and the scale of the observations where they are normalized.

    Args:
      directory: a run directory, or what `train` returned.
      seed: number of the seed.
      which: the latest checkpoint, one by its step, or the best policy by the run's evaluations.
      point: of a run that trains several points of a sweep, which one.

    Returns:
      A function of observations, in the environment's own units, NumPy in and out. Of a run with
      frame_stack K > 1 it takes stacks of K, which `jaxsac.FrameStack(policy.frame_stack)` makes
      of one observation after the other.

    Raises:
      RunDirectoryError, BundleError: there is no such run or checkpoint, or it is damaged; or the
        run is of jaxsac 0.1, and its environment, which alone knows the spaces, cannot be made.
      ValueError: the run has no such seed or point.
      ModuleNotFoundError: safetensors is not installed.
    """
    packages.check("a saved policy", "policy", "safetensors")
    run = RunDirectory(Path(directory))
    run.config()
    if unknown := run.describe_unknown_settings():
        warnings.warn(unknown, stacklevel=2)
    if not isinstance(seed, int | np.integer):
        raise ValueError(f"seed must be a whole number, got {seed!r}.")
    run = run.of_seed(seed)
    config = run.config()
    member = _member(config, seed, point, run.path)
    spaces = spaces_of(run)
    (step,), policies = acting.read(run, spaces, which, [member])
    return Policy(jax.tree.map(lambda x: x[0], policies), spaces, step, config.to_json())


def spaces_of(run: RunDirectory) -> Spaces:
    """The spaces of a run: as written down, or, in a run of jaxsac 0.1, from its environment.

    Raises:
      RunDirectoryError: they are not written down, and the environment cannot be made.
    """
    if (spaces := run.spaces()) is not None:
        return spaces
    config = run.config()
    try:
        from jaxsac.envs.checked import close_and_tell
        from jaxsac.training import seed_axis
        from jaxsac.training.drivers import make_driver

        one = config.only(config.seed)
        driver = make_driver(one.to_population(), seed_axis.axis(one.population))
    except Exception as error:
        raise RunDirectoryError(
            f"{run.path} was written by a version of jaxsac that left the spaces to the "
            f"environment, and {config.env} cannot be made here ({error}): load it where it "
            "can."
        ) from error
    close_and_tell(config.env, driver)
    return Spaces(driver.observation, driver.action, driver.action_map)


def _member(config: RunConfig, seed: int, point: int | None, directory: Path) -> int:
    """The index of a member."""
    points = len(config.points)
    if (point is None and points > 1) or (point is not None and not 0 <= point < points):
        listed = "; ".join(f"{number}: {values}" for number, values in enumerate(config.points))
        raise ValueError(f"{directory} has no point {point}: give one of {listed}.")
    return (point or 0) * config.seeds + seed - config.seed


def _as_learned_on(spec: PyTree, observation: PyTree, name: str) -> PyTree:
    """An observation in the structure and the dtypes of `spec`."""
    if isinstance(spec, dict):
        if not isinstance(observation, dict) or set(observation) != set(spec):
            raise ValueError(f"{name} must be a dict of {sorted(spec)}, got {_kind(observation)}.")
        return {key: _as_learned_on(spec[key], observation[key], f"{name}.{key}") for key in spec}
    if isinstance(spec, tuple):
        if not isinstance(observation, tuple | list) or len(observation) != len(spec):
            raise ValueError(f"{name} must be a tuple of {len(spec)}, got {_kind(observation)}.")
        return tuple(
            _as_learned_on(part, value, f"{name}[{number}]")
            for number, (part, value) in enumerate(zip(spec, observation, strict=True))
        )
    return _as_array(spec, observation, name)


def _as_array(spec: jax.ShapeDtypeStruct, value: Any, name: str) -> np.ndarray:
    expected = f"({', '.join(['...', *map(str, spec.shape)])}) of {spec.dtype}"
    if is_traced(value):
        raise TypeError(
            f"{name} is traced: a policy takes NumPy arrays and is compiled already. For one that "
            "`jax.jit` and `jax.vmap` take: jaxsac export RUN --format stablehlo."
        )
    try:
        array = np.asarray(value)
        if not any(jnp.issubdtype(array.dtype, kind) for kind in NUMBERS):
            raise TypeError(f"it is {array.dtype}")
        with np.errstate(over="ignore"):
            converted = array.astype(spec.dtype)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} must be an array {expected}: {error}.") from error
    lead = array.ndim - len(spec.shape)
    if lead < 0 or array.shape[lead:] != spec.shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {expected}.")
    if spec.dtype.kind in "iub" and not np.array_equal(converted, array):
        raise ValueError(f"{name} has values that do not fit, expected {expected}.")
    if jnp.issubdtype(spec.dtype, jnp.floating) and not np.isfinite(converted).all():
        raise ValueError(
            f"{name} has values that are not finite as {spec.dtype}: for them there is no action."
        )
    return converted


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return f"one of {sorted(map(str, value))}"
    if isinstance(value, tuple | list):
        return f"{len(value)} values"
    return type(value).__name__
