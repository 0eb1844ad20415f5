"""The best policy of each member by its evaluations: what acts alone, so some kilobytes each."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import jax

from jaxsac.runs.checkpoints import bundle
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.training.carry import Policy
from jaxsac.training.seed_axis import SeedAxis


def returns(directory: Path, members: list[str]) -> list[float]:
    """The mean return of the evaluation by which each member's policy was kept; -∞ without one."""

    def of(member: str) -> float:
        try:
            return float(bundle.verify(directory / member)["eval_return"])
        except (BundleError, KeyError, TypeError, ValueError):
            return -math.inf

    return [of(member) for member in members]


def keep(
    directory: Path,
    members: list[str],
    better: dict[int, float],
    step: int,
    policy: Policy,
    axis: SeedAxis,
) -> None:
    """Writes the policies that are better than what is kept.

    Args:
      directory: the run's `best` folder.
      members: their names.
      better: mean returns by the index of the member.
      step: transitions per seed so far.
      policy: of all members, with the rows of a `SeedAxis`.
      axis: how they are laid out.

    Raises:
      OSError: it could not be written; what was kept before is untouched.
    """
    acting = policy._replace(agent=policy.agent.acting)
    rows: Any = axis.take(jax.device_get(acting))
    for index, value in better.items():
        one = jax.tree.map(lambda leaf, index=index: leaf[index : index + 1], rows)
        parts = [("agent", one.agent)]
        if policy.normalizer:
            parts.append(("normalizer", one.normalizer))
        bundle.write(directory / members[index], parts, {"step": step, "eval_return": value})
