"""What drives environments and learners together, whether they live on the host or the device."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

import jax
from jax.stages import Compiled

from jaxsac.envs.action_map import ActionMap
from jaxsac.training import learner
from jaxsac.training.carry import Carry, Policy
from jaxsac.training.population import Population
from jaxsac.training.programs import kept
from jaxsac.training.returns import Evaluation, Totals
from jaxsac.training.seed_axis import SeedAxis
from jaxsac.types import PyTree


class Evaluator(Protocol):
    """What evaluates the policies of a group of seeds."""

    observation: PyTree
    """Structs of one observation."""
    action: jax.ShapeDtypeStruct
    """Struct of one action."""
    action_map: ActionMap
    """From [-1, 1] to the units of the environment."""

    def evaluate(self, policy: Policy, step: int, episodes: int, sampled: bool) -> Evaluation:
        """Runs episodes of each seed's policy on environments and keys of their own.

        Args:
          policy: of all seeds, with the rows of a `SeedAxis`.
          step: names the start states, so that they can be repeated.
          episodes: per seed.
          sampled: draw the actions instead of taking the mode.
        """
        ...

    def close(self) -> None:
        """Ends the environments."""
        ...


class Driver(Evaluator, Protocol):
    """The environments of a group of seeds, and the learners that act in them."""

    step: int
    """Transitions per seed so far."""
    learning: Any
    """The learners, a `Carry` with the rows of a `SeedAxis`."""
    prior: Any
    """Transitions from before the run that all members draw from, a `Buffer` that
    `SeedAxis.share` has put onto the devices; () for none."""
    remarks: list[str]
    """What there is to say about the environments at the start."""
    whole: bool
    """Whether learners, environments and `step` belong together, as between two advances."""

    def examine(self) -> list[str]:
        """Looks for what would spoil a run, before it begins.

        Returns:
          Sentences on what a run can do without.

        Raises:
          ValueError: what it cannot do without.
        """
        ...

    def compile(self, learning: Carry) -> Compiled:
        """Compiles the program that learns, which the first steps then find.

        Args:
          learning: structs of the learners, one row for each member.
        """
        ...

    def start(self) -> None:
        """Makes the learners and starts the first episodes."""
        ...

    def advance(self, until: int) -> Totals:
        """Steps and learns, at least once and not past `until` transitions per seed.

        Returns:
          What that came to.
        """
        ...

    def prepare_evaluation(self, episodes: int) -> None:
        """Makes what `evaluate` needs for the mode of a policy: its compiled program above all.

        Otherwise the first evaluation does, and takes longer than the others.

        Args:
          episodes: per seed.
        """
        ...

    def snapshot(self) -> tuple[PyTree, dict[str, Any]]:
        """The environments in mid-episode: arrays, and JSON values beside them."""
        ...

    def snapshot_structs(self, facts: dict[str, Any]) -> PyTree:
        """Structs of the arrays that were saved beside `facts`.

        Raises:
          ValueError, KeyError, TypeError: the facts are not those of a snapshot.
        """
        ...

    def restore(self, step: int, learning: Carry, arrays: PyTree, facts: dict[str, Any]) -> int:
        """Goes to where a snapshot was taken.

        Returns:
          The number of environments that could not be brought there; they start a new episode.
        """
        ...


def init_learning(
    population: Population, observation: PyTree, action: jax.ShapeDtypeStruct, axis: SeedAxis
) -> Carry:
    """The learners of all members before the first step, laid out over the devices.

    Args:
      population: the members.
      observation: where their environments start, (S, E, ...).
      action: struct of one action, (A,).
      axis: how they are laid out.
    """
    learners = axis.pad(population).learners
    return _init(axis, action)(learners, axis.pad(observation))


@kept
def _init(axis: SeedAxis, action: jax.ShapeDtypeStruct) -> Callable[[Population, PyTree], Carry]:
    return axis.compile_start(_untraced_init(action))


@kept
def _untraced_init(
    action: jax.ShapeDtypeStruct,
) -> Callable[[Population, PyTree], Carry]:
    # One function for the structs and for the program, which JAX then traces once.
    return functools.partial(learner.init, action=action)


def learning_structs(
    population: Population, observation: PyTree, action: jax.ShapeDtypeStruct
) -> Carry:
    """Structs of the learners, one row for each member.

    Args:
      population: the members.
      observation: structs of one observation.
      action: struct of one action, (A,).
    """
    leading = (population.size, population.num_envs)
    first = jax.tree.map(
        lambda struct: jax.ShapeDtypeStruct((*leading, *struct.shape), struct.dtype), observation
    )
    return jax.eval_shape(_untraced_init(action), population.learners, first)
