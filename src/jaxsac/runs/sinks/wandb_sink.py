"""Weights & Biases: a run of theirs for each member, in one group."""

from __future__ import annotations

import os
from typing import Any

from jaxsac import packages
from jaxsac.runs.sinks.sink import Target

TAKES_BACK = False
PROJECT = "jaxsac"
REFUSED = ":;,#?/'"
"""Letters that an id of theirs cannot have, and a directory can."""


def check() -> None:
    """Refuses to begin where nothing could be sent.

    Raises:
      ModuleNotFoundError: wandb is not installed.
      ValueError: no one is logged in.
    """
    wandb = _package()
    if os.environ.get("WANDB_MODE", "online") == "online" and not wandb.login(prompt=False):
        raise ValueError(
            "--log wandb: no one is logged in. Run `wandb login`, or set WANDB_MODE=offline and "
            "send the run later by `wandb sync`."
        )


class Streams:
    """Files of wandb lie in `wandb/` in the run directory; `WANDB_*` variables count."""

    def __init__(self, target: Target) -> None:
        """Opens them, and waits for the server unless WANDB_MODE is offline.

        Raises:
          wandb.errors.Error: the server does not answer.
        """
        folder = target.directory / "wandb"
        self._runs = [
            _begin(target, index, settings) for index, settings in enumerate(target.settings)
        ]
        first = self._runs[0]
        self.where = f"wandb shows the run, group {target.group}, in {first.project_url}."
        if first.offline:
            self.where = f"wandb keeps the run: `wandb sync {folder}/offline-run-*` sends it."

    def write(self, place: int, rows: dict[int, dict[str, float]]) -> None:
        """Hands them to wandb's own process, which sends them."""
        for index, row in rows.items():
            # Otherwise wandb keeps it here until the next one comes: there may be more of it.
            self._runs[index].log(row, step=place, commit=True)

    def close(self) -> None:
        """Waits until they are sent."""
        for run in self._runs:
            run.finish()


def _begin(target: Target, index: int, settings: dict[str, Any]) -> Any:
    wandb, member = _package(), target.members[index]
    return wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        group=target.group,
        name=f"{target.group}/{member}",
        id="".join("-" if c in REFUSED else c for c in f"{target.group}-{member}").strip(),
        config=settings,
        dir=target.directory,
        resume="allow",
        reinit="create_new",  # beside the runs of the other members
        allow_val_change=True,
        # Of one machine it is enough to be watched once.
        settings=wandb.Settings(console="off", silent=True, x_disable_stats=index > 0),
    )


def _package() -> Any:
    return packages.load("--log wandb", "wandb", "wandb")[0]
