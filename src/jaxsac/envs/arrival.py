"""What environments hand to learning, on the host and on the device alike."""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxsac.types import PyTree, Transition


class Arrival(NamedTuple):
    """What one step of all environments delivered; leading axes (S seeds, E environments)."""

    transition: Transition
    valid: Any
    """bool (S, E): rows that are transitions. Not: the step in which a NEXT_STEP environment
    resets, and anything with a non-finite number in it."""
    observation: PyTree
    """Where the next action is to be taken: after a reset, not `transition.next_observation`."""
