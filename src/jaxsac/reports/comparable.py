"""Which runs may stand in one curve or beside each other, and which may not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxsac.reports.population import Population

EVALUATION = ("eval_episodes",)
"""Settings that returns are measured with."""
CONDITIONS = ("env_kwargs", "wrapper", *EVALUATION)
"""Settings in which runs of one environment must agree: what a step is, what is rewarded, and how
returns are measured."""
COLUMNS = {
    "eval_return": "deterministic evaluations",
    "train_return": "training episodes of the sampled policy",
}


def check(populations: Sequence[Population]) -> None:
    """Refuses what cannot be compared; different environments are simply kept apart.

    Raises:
      ValueError: two versions of an environment; or runs of one environment with other arguments,
        wrappers or evaluations. Names the runs and what differs.
    """
    by_env: dict[str, Population] = {}
    by_name: dict[str, Population] = {}
    for population in populations:
        other = by_name.setdefault(_unversioned(population.env), population)
        if other.env != population.env:
            raise _refusal(
                other,
                population,
                [f"env is {other.env} in the one and {population.env} in the other"],
            )
        other = by_env.setdefault(population.env, population)
        if different := _differences(other, population):
            raise _refusal(other, population, different)


def _differences(first: Population, second: Population) -> list[str]:
    found = []
    if first.column != second.column:
        found.append(
            f"returns are of {COLUMNS[first.column]} in the one and "
            f"{COLUMNS[second.column]} in the other"
        )
    for name in CONDITIONS:
        one, other = first.settings.get(name), second.settings.get(name)
        measured = first.column == second.column == "eval_return" or name not in EVALUATION
        if one != other and measured:
            found.append(f"{name} is {_text(one)} in the one and {_text(other)} in the other")
    return found


def _refusal(first: Population, second: Population, different: list[str]) -> ValueError:
    if first.path == second.path:
        who = f"the runs in {first.path} cannot be taken together"
        return ValueError(f"{who}: {'; '.join(different)}. Report them one by one.")
    return ValueError(
        f"{first.path} and {second.path} cannot be compared: {'; '.join(different)}. Report them "
        "apart, or train them alike."
    )


def _unversioned(env: str) -> str:
    """HalfCheetah of HalfCheetah-v4."""
    return re.sub(r"-v\d+$", "", env)


def _text(value: Any) -> str:
    return repr(tuple(value) if isinstance(value, list) else value)
