"""What a tracker of experiments has to offer, and which there are."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple, Protocol

SinkName = Literal["tensorboard", "wandb", "trackio"]


class Target(NamedTuple):
    """The streams of a run: one for each of its members."""

    directory: Path
    """Of the run."""
    group: str
    """What the run is called; no other is."""
    members: list[str]
    settings: list[dict[str, Any]]
    """Of each member, by name; what JSON can hold."""
    places: list[int]
    """By member: of the last row that its stream has; -1 of one that begins."""


class Sink(Protocol):
    """Where rows of metrics are sent.

    The module `<name>_sink` of each has it as its class `Streams`, made of a `Target`, a function
    `check` that raises where it cannot be used, and `TAKES_BACK`: whether rows beyond the places of
    the target are taken back when it is made.
    """

    where: str
    """A sentence on how to look at it."""

    def write(self, place: int, rows: dict[int, dict[str, float]]) -> None:
        """Takes a row of some members.

        Args:
          place: on the horizontal axis, beyond that of the row before.
          rows: values by the name of the metric, by the index of the member.
        """
        ...

    def close(self) -> None:
        """Waits until all rows are where they belong."""
        ...


def kind(name: SinkName) -> ModuleType:
    """The module of a sink; it imports the package itself when that is used."""
    return importlib.import_module(f"jaxsac.runs.sinks.{name}_sink")


def check(names: Sequence[SinkName]) -> None:
    """Refuses sinks that cannot be used here.

    Raises:
      ModuleNotFoundError: a package is not installed; names the command that installs it.
      ValueError: something else is missing; names it and what helps.
    """
    for name in names:
        kind(name).check()
