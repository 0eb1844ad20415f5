"""What a step of environments returns, on the host and on the device alike."""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxsac.types import PyTree


class StepResult(NamedTuple):
    """What one step of all environments returned; leading axes (S seeds, E environments).

    Where it began, and the action, are known to whoever asked for it.
    """

    reward: Any
    discount: Any
    """0 where the process terminated, 1 elsewhere."""
    next_observation: PyTree
    """The true one, also where an episode ended."""
    valid: Any
    """bool (S, E): steps that are transitions. Not: those with a number that is not finite."""
    observation: PyTree
    """Where the next action is to be taken: after a reset, not `next_observation`."""
    over: Any
    """bool (S, E): that action begins another episode, as after a step that is not valid."""


class EpisodeEnd(NamedTuple):
    """Episodes that ended in a step, (S, E); where `mask` is False the others mean nothing."""

    mask: Any
    episode_return: Any
    """Undiscounted sum of the environment's rewards."""
    episode_length: Any
    """Steps."""
