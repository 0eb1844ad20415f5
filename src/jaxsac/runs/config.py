"""What a run is: one validated record, written to its manifest and read back from it.

A run trains a population: every seed at every point of a sweep over hyperparameters. Without a
sweep its members are the seeds.
"""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from jaxsac.runs import upgrade
from jaxsac.training.population import Population
from jaxsac.training.schedule import Schedule
from jaxsac.sac.checks import check_hyperparameters
from jaxsac.sac.state import Config, Hyperparameters

SMALLEST_UTD = 1e-6
POSITIVE = (
    "seeds", "steps", "num_envs", "update_every", "batch_size", "replay_capacity", "log_every",
)  # fmt: skip
WITHOUT_EFFECT = ("checkpoint_every", "env_timeout", "eval_every", "eval_episodes")
"""Fields that change nothing in what is learned: a run may be resumed with other values."""


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """A training run. Counts of transitions are per seed."""

    env: str
    """Gymnasium id; module:EnvId for one that your own module registers; or family:Name for an
    environment in JAX, the family being jaxsac, mjx, brax, playground or gymnax."""
    seeds: int = 1
    """Number of independent seeds trained together."""
    seed: int = 0
    """Number of the first seed; the group is seed, seed + 1, …"""
    steps: int = 1_000_000
    """Environment transitions to train for, per seed; a run can be given more later."""
    num_envs: int = 1
    """Environments per seed, stepped together."""
    learning_starts: int = 10_000
    """Transitions by uniformly random actions before the first update, per seed."""
    utd: float = 1.0
    """Gradient updates per environment transition; fractions are allowed."""
    update_every: int = 1
    """Transitions with one policy, per seed, after which the updates due are done together. More
    than 1 saves time between updates, at the price of older policies; `utd` stays as it is."""
    normalize_observations: bool = False
    """Standardize observations by their running mean and standard deviation, clipped to ±10;
    integers, such as pixels, are left as they are."""
    batch_size: int = 256
    """Transitions per update."""
    replay_capacity: int = 1_000_000
    """Transitions that replay holds, per seed."""
    eval_every: int = 5_000
    """Transitions between evaluations, per seed; 0 turns them off."""
    eval_episodes: int = 10
    """Deterministic episodes per evaluation, per seed."""
    log_every: int = 1_000
    """Transitions between rows of the metrics, per seed."""
    checkpoint_every: int = 50_000
    """Transitions between checkpoints, per seed; 0 saves at the end and when stopped only."""
    env_timeout: float = 300.0
    """Seconds that one reset or step of one environment may take; the run is saved and stopped
    when it takes longer. 0: no limit."""
    seed_layout: Literal["auto", "vmap", "map"] = "auto"
    """How members share a device: batched (vmap), or one after the other (map); auto: vmap, but map
    for more than four members on a CPU core."""
    agent: Config = Config()
    hyperparameters: Hyperparameters = Hyperparameters()
    """Floats, or tuples of equal length: then the run is a sweep over as many points."""

    def __post_init__(self) -> None:
        if not isinstance(self.env, str):
            raise ValueError(f"env must be the id of an environment, got {self.env!r}.")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and (isinstance(value, bool) or not isinstance(value, int)):
                raise ValueError(f"{field.name} must be a whole number, got {value!r}.")
        for name in POSITIVE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("seed", "learning_starts", "eval_every", "checkpoint_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}.")
        if self.eval_every and self.eval_episodes < 1:
            raise ValueError(f"eval_episodes must be at least 1, got {self.eval_episodes}.")
        if not 0 <= self.env_timeout < math.inf:
            raise ValueError(
                f"env_timeout must be 0 or a positive number of seconds, got {self.env_timeout}."
            )
        if not 0 <= self.seed <= 2**32 - self.seeds:
            raise ValueError(
                f"seeds must be below 2^32, as keys do not tell larger ones apart; got {self.seed} "
                f"to {self.seed + self.seeds - 1}."
            )
        if not (math.isfinite(self.utd) and self.utd >= SMALLEST_UTD):
            raise ValueError(
                f"utd must be a positive number from {SMALLEST_UTD} on, got {self.utd}."
            )
        held = min(self.learning_starts, self.replay_capacity)
        if self.batch_size > held:
            raise ValueError(
                f"batch_size {self.batch_size} is more than replay holds at the first update "
                f"({held} = the smaller of learning_starts {self.learning_starts} and "
                f"replay_capacity {self.replay_capacity}): raise those or lower batch_size."
            )
        lengths = {len(values) for values in self._leaves().values() if _is_swept(values)}
        if len(lengths) > 1 or 0 in lengths:
            raise ValueError(f"swept hyperparameters need equally many values, got {lengths}.")
        if self.seed_layout not in ("auto", "vmap", "map"):
            raise ValueError(f"seed_layout must be auto, vmap or map, got {self.seed_layout!r}.")
        check_hyperparameters(self.hyperparameters, config=self.agent)

    @property
    def schedule(self) -> Schedule:
        """When the run explores and when it updates."""
        utd = Fraction(self.utd).limit_denominator(round(1 / SMALLEST_UTD))
        return Schedule(self.learning_starts, utd, self.update_every)

    @property
    def points(self) -> list[dict[str, float]]:
        """The values of what is swept over; one empty point without a sweep."""
        swept = {name: values for name, values in self._leaves().items() if _is_swept(values)}
        if not swept:
            return [{}]
        return [
            dict(zip(swept, values, strict=True)) for values in zip(*swept.values(), strict=True)
        ]

    @property
    def population(self) -> int:
        """Number of members: every seed at every point."""
        return self.seeds * len(self.points)

    @property
    def member_seeds(self) -> list[int]:
        """The seed number of each member, point after point."""
        return list(range(self.seed, self.seed + self.seeds)) * len(self.points)

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
    def member_hyperparameters(self) -> Hyperparameters:
        """The hyperparameters with an axis over the members wherever they are swept."""
        swept = {
            name: np.repeat(values, self.seeds)
            for name, values in self._leaves().items()
            if _is_swept(values)
        }
        return self.hyperparameters.replace(**swept)

    def to_population(self) -> Population:
        """What training needs to know of the run."""
        return Population(
            seeds=np.array(self.member_seeds),
            hyperparameters=self.member_hyperparameters,
            labels=tuple(self.member_labels),
            env=self.env,
            env_timeout=self.env_timeout,
            num_envs=self.num_envs,
            agent=self.agent,
            schedule=self.schedule,
            batch_size=self.batch_size,
            replay_capacity=self.replay_capacity,
            normalize_observations=self.normalize_observations,
        )

    def only(self, seed: int) -> RunConfig:
        """The run of one of its seeds alone, which learns what it learns in the group.

        Raises:
          ValueError: a seed that is not one of the group's.
        """
        last = self.seed + self.seeds - 1
        if not self.seed <= seed <= last:
            raise ValueError(f"only_seed {seed} is not one of the group's, {self.seed} to {last}.")
        return dataclasses.replace(self, seed=seed, seeds=1)

    def _leaves(self) -> dict[str, Any]:
        return {
            f.name: getattr(self.hyperparameters, f.name)
            for f in dataclasses.fields(Hyperparameters)
        }

    def to_json(self) -> dict[str, Any]:
        """A flat dictionary of JSON values.

        Raises:
          ValueError: custom network modules, which a manifest cannot describe.
        """
        if self.agent.actor is not None or self.agent.critic is not None:
            raise ValueError("a run's manifest cannot hold custom network modules.")
        values = {name: getattr(self, name) for name in _names(RunConfig)}
        values |= {name: getattr(self.agent, name) for name in _names(Config)} | self._leaves()
        return {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}

    @classmethod
    def from_json(cls, values: dict[str, Any], written: int = upgrade.FORMAT) -> RunConfig:
        """The inverse of `to_json`, by name.

        Args:
          values: settings; one that is missing takes the value that reproduces what the version
            that wrote them did, and unknown ones are left out (`unknown_settings`).
          written: the format of the manifest that holds them.

        Raises:
          ValueError: no environment, or a value that a run cannot have.
        """
        try:
            values = upgrade.settings(values, written)
            values = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
            agent = Config(**_take(values, Config))
            hyperparameters = Hyperparameters(**_take(values, Hyperparameters))
            settings = {"env": values["env"], **_take(values, RunConfig)}
            return cls(agent=agent, hyperparameters=hyperparameters, **settings)
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"not the configuration of a run: {error}.") from error


def unknown_settings(values: dict[str, Any], written: int = upgrade.FORMAT) -> list[str]:
    """Names in a manifest that this version has no setting for, such as those of a newer one."""
    known = {name for kind in (RunConfig, Config, Hyperparameters) for name in _names(kind)}
    return sorted(set(upgrade.settings(values, written)) - known)


def _is_swept(value: Any) -> bool:
    return isinstance(value, tuple)


def _names(kind: Any) -> list[str]:
    """The settings among the fields of a record."""
    others = ("agent", "hyperparameters", "actor", "critic")
    return [f.name for f in dataclasses.fields(kind) if f.name not in others]


def _take(values: dict[str, Any], kind: Any) -> dict[str, Any]:
    return {name: values[name] for name in _names(kind) if name in values}
