"""Who is trained in a run: every seed at every point of a sweep over hyperparameters."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from jaxsac.sac.config import Hyperparameters


class Members:
    """What a run's configuration says of its members. Without a sweep they are the seeds."""

    seed: int
    seeds: int
    hyperparameters: Hyperparameters

    @property
    def hyperparameter_values(self) -> dict[str, Any]:
        """Every hyperparameter by its name: a float, or a tuple where it is swept over."""
        return {
            f.name: getattr(self.hyperparameters, f.name)
            for f in dataclasses.fields(Hyperparameters)
        }

    @property
    def swept(self) -> dict[str, tuple[float, ...]]:
        """The hyperparameters that are swept over, with their values at the points."""
        return {
            name: value
            for name, value in self.hyperparameter_values.items()
            if isinstance(value, tuple)
        }

    @property
    def points(self) -> list[dict[str, float]]:
        """The values of what is swept over; one empty point without a sweep."""
        if not self.swept:
            return [{}]
        columns = zip(*self.swept.values(), strict=True)
        return [dict(zip(self.swept, values, strict=True)) for values in columns]

    @property
    def population(self) -> int:
        """Number of members: every seed at every point."""
        return self.seeds * len(self.points)

    @property
    def own_seeds(self) -> range:
        """The numbers of the seeds."""
        return range(self.seed, self.seed + self.seeds)

    @property
    def member_seeds(self) -> list[int]:
        """The seed number of each member, point after point."""
        return [*self.own_seeds] * len(self.points)

    @property
    def member_names(self) -> list[str]:
        """What the files of each member are called."""
        names = [f"seed-{number:04d}" for number in self.member_seeds]
        if len(self.points) == 1:
            return names
        return [f"point-{i // self.seeds:03d}-{name}" for i, name in enumerate(names)]

    @property
    def member_labels(self) -> list[str]:
        """What each member is called for a person."""
        labels = [str(number) for number in self.member_seeds]
        if len(self.points) == 1:
            return labels
        return [f"point {i // self.seeds}, seed {label}" for i, label in enumerate(labels)]

    @property
    def members(self) -> list[dict[str, Any]]:
        """The seed of each member, and its values of what is swept over."""
        each = [point for point in self.points for _ in range(self.seeds)]
        return [
            {"seed": seed, **point} for seed, point in zip(self.member_seeds, each, strict=True)
        ]

    @property
    def member_hyperparameters(self) -> Hyperparameters:
        """The hyperparameters with an axis over the members wherever they are swept."""
        of_members = {name: np.repeat(values, self.seeds) for name, values in self.swept.items()}
        return self.hyperparameters.replace(**of_members)
