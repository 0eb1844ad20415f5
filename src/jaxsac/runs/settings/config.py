"""What a run is: one validated record, written to its manifest and read back from it.

A run trains a population: every seed at every point of a sweep over hyperparameters. Without a
sweep its members are the seeds.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from jaxsac.data import mixture
from jaxsac.data.return_scale import RewardScaleName
from jaxsac.envs.options import EnvOptions
from jaxsac.runs import upgrade
from jaxsac.runs.settings import labels, limits, own_networks
from jaxsac.runs.settings.members import Members
from jaxsac.runs.settings.values import json_object, whole
from jaxsac.runs.sinks.sink import SinkName
from jaxsac.sac.config import Config, Hyperparameters
from jaxsac.training.population import Population
from jaxsac.training.schedule import Schedule

WITHOUT_EFFECT = (
    "checkpoint_every", "env_timeout", "env_workers", "eval_every", "eval_episodes", "eval_envs",
    "lock", "keep_replay", "log", "record_every",
)  # fmt: skip
"""Fields that change nothing in what is learned: a run may be resumed with other values."""
COUNTS = {"int": (), "int | None": (None,), "int | Literal['auto']": ("auto",)}
"""Types of fields that are whole numbers, and what each may be instead."""


@dataclasses.dataclass(frozen=True)
class RunConfig(Members):
    """A training run. Counts of transitions are per seed."""

    env: str
    """Gymnasium id; module:EnvId for one that your own module registers; module:function for one
    that a function makes; envpool:EnvId for a robot of MuJoCo's in EnvPool; or family:Name for an
    environment in JAX, the family being jaxsac, mjx, brax, playground or gymnax."""
    env_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Arguments of the environment's constructor, as a JSON object: '{"frame_skip": 2}'."""
    wrapper: tuple[str, ...] = ()
    """module:function of a wrapper, once for each, the innermost first: it is called with an
    environment and returns one, in training and evaluation."""
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
    frame_stack: int = 1
    """Observations that the agent sees at once: the latest ones, joined along the last axis (images
    along their channels), the first of an episode repeated. Replay holds each of them once."""
    normalize_observations: bool = False
    """Standardize observations by their running mean and standard deviation, clipped to ±10;
    integers, such as pixels, are left as they are."""
    reward_scale: RewardScaleName = "none"
    """What rewards are divided by when they are learned from: nothing; the standard deviation of
    the discounted sums of rewards G so far (return_std, as XQC has it); or the larger of that and
    of max|G| / reward_scale_bound (return_bound, as FlashSAC has it)."""
    reward_scale_bound: float = 5.0
    """Largest |G| after return_bound, such as the bound of a categorical critic's atoms."""
    n_step: int = 1
    """Steps of the returns that critics learn from, fewer where an episode ends. From 2 on their
    rewards are those of the actions taken then, whatever the policy would do by now."""
    noise_hold: int = 1
    """Actions for which exploration keeps its noise, at the most: the number is drawn each time,
    k with probability ∝ 1/k². 1: noise of its own for each action. FlashSAC has 16."""
    reset_every: int = 0
    """Updates after which networks, optimizers (and so lr_schedule), targets and temperature start
    anew, while replay is kept; 0: never."""
    batch_size: int = 256
    """Transitions per update."""
    replay_capacity: int = 1_000_000
    """Transitions that replay holds, per seed."""
    prior_data: str | None = None
    """Transitions from before the run: path of a .npz (see `jaxsac record`), or minari:ID for a
    data set of Minari. All seeds draw from one copy, and it is in no checkpoint."""
    prior_fraction: float = 0.5
    """Share of every batch that is drawn from prior_data, as RLPD does; the rest is from replay."""
    offline_steps: int = 0
    """Updates on the prior data alone before the first action, which is then the policy's, as all
    that follow are: there are no uniformly random ones."""
    eval_every: int = 5_000
    """Transitions between evaluations, per seed; 0 turns them off."""
    eval_episodes: int = 10
    """Deterministic episodes per evaluation, per seed."""
    eval_envs: int | None = None
    """Copies of an environment on the host to evaluate each seed in, whose episodes follow each
    other; 0: those that train; None: one for each episode, as far as they can be made."""
    log_every: int = 1_000
    """Transitions between rows of the metrics, per seed."""
    log: tuple[SinkName, ...] = ()
    """Trackers that are sent the rows too, besides the CSV files: tensorboard, wandb, trackio; once
    for each."""
    record_every: int = 0
    """Transitions between videos of an episode of the first seed, per seed, in `videos/` of the run
    directory; 0: none. The environment must be one that draws itself."""
    checkpoint_every: int = 50_000
    """Transitions between checkpoints, per seed; 0 saves at the end and when stopped only."""
    env_timeout: float = 300.0
    """Seconds that one reset or step of one environment may take, and closing it; the run is saved
    and stopped when it takes longer. 0: no limit, and so in other threads than the main one."""
    env_workers: int | Literal["auto"] = 0
    """Processes that step the copies of an environment on the host side by side, several in each,
    and as many for evaluation; 0: they are stepped in turn, in the process that learns. For
    simulators of more than about a millisecond a step; results are the same. auto: one step is
    timed when the run begins, and from 2 ms on there is a worker for each copy or core, whichever
    are fewer. Of envpool: they are the threads, and 0 is one for each core."""
    keep_replay: bool = True
    """Whether the last checkpoint has the replay. Without it a finished run takes little room on
    the disk, and cannot be given more steps."""
    lock: bool = True
    """Whether to keep other processes out of the run directory; not every file system can."""
    init_from: str | None = None
    """Run directory of another run, whose agents this one begins with: it acts by them from its
    first step on and learns under its own settings. The networks and spaces must be alike."""
    init_replay: bool = False
    """Whether to begin with the replay of init_from's run too."""
    seed_layout: Literal["auto", "vmap", "map"] = "auto"
    """How members share a device: batched (vmap), or one after the other (map); auto: vmap, but map
    on a CPU for more than four members on a core and for networks with batch normalization."""
    actor: str | None = None
    """module:Class of an actor of your own, a Linen module: observation -> (mean, log_std); see
    Config.actor. None: the default one."""
    actor_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of the class that actor names, as a JSON object."""
    critic: str | None = None
    """module:Class of critics of your own: (observation, action) -> q of each; see Config.critic.
    None: the default ones."""
    critic_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of the class that critic names, as a JSON object."""
    agent: Config = Config()
    hyperparameters: Hyperparameters = Hyperparameters()
    """Floats, or tuples of equal length: then the run is a sweep over as many points."""
    objects: Mapping[str | int, Any] = dataclasses.field(default_factory=dict, compare=False)
    """What `env` names, and by its number what each `wrapper` names, where a call from Python has
    given it: names do not tell two lambdas apart."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type in COUNTS and value not in COUNTS[field.type]:
                object.__setattr__(self, field.name, whole(field.name, value))
            if field.type == "dict[str, Any]":
                object.__setattr__(self, field.name, json_object(field.name, value))
        names = (self.log,) if isinstance(self.log, str) else tuple(dict.fromkeys(self.log))
        object.__setattr__(self, "log", names)
        for name in ("prior_data", "init_from"):
            if (path := getattr(self, name)) is not None:
                text = os.fspath(path)
                as_it_is = not text or text.startswith("minari:")
                plain = text if as_it_is else os.path.normpath(text)
                object.__setattr__(self, name, plain)
        limits.check(self)

    @property
    def prior_rows(self) -> int:
        """Rows of a batch that are prior data."""
        fraction = 0.0 if self.prior_data is None else self.prior_fraction
        return mixture.rows_of(fraction, self.batch_size)

    @property
    def schedule(self) -> Schedule:
        """When the run explores and when it updates."""
        utd = Fraction(self.utd).limit_denominator(round(1 / limits.SMALLEST_UTD))
        explores = self.init_from is None and not self.offline_steps
        return Schedule(self.learning_starts, utd, self.update_every, explores)

    @property
    def full_agent(self) -> Config:
        """The settings of the agent, with networks of the user's own.

        Raises:
          ValueError, ModuleNotFoundError: they cannot be made.
        """
        own = {}
        for what in ("actor", "critic"):
            name = getattr(self, what)
            if name is not None and getattr(self.agent, what) is None:
                own[what] = own_networks.make(name, getattr(self, f"{what}_kwargs"), what)
        return dataclasses.replace(self.agent, **own)

    def to_population(self) -> Population:
        """What training needs to know of the run; without workers while their number is open."""
        return Population(
            seeds=np.array(self.member_seeds),
            hyperparameters=self.member_hyperparameters,
            labels=tuple(self.member_labels),
            env=self.env,
            env_options=EnvOptions(
                self.env_kwargs,
                tuple(self.objects.get(n, name) for n, name in enumerate(self.wrapper)),
                self.objects.get("env"),
            ),
            env_timeout=self.env_timeout,
            env_workers=0 if self.env_workers == "auto" else self.env_workers,
            eval_episodes=self.eval_episodes if self.eval_every else 0,
            eval_envs=self.eval_envs,
            num_envs=self.num_envs,
            agent=self.full_agent,
            schedule=self.schedule,
            batch_size=self.batch_size,
            replay_capacity=self.replay_capacity,
            prior_data=self.prior_data,
            prior_rows=self.prior_rows,
            frame_stack=self.frame_stack,
            normalize_observations=self.normalize_observations,
            n_step=self.n_step,
            noise_hold=self.noise_hold,
            reset_every=self.reset_every,
            reward_scale=self.reward_scale,
            reward_scale_bound=self.reward_scale_bound,
        )

    def only(self, seed: int) -> RunConfig:
        """The run of one of its seeds alone, which learns what it learns in the group.

        Raises:
          ValueError: a seed that is not one of the group's.
        """
        if seed not in self.own_seeds:
            there = labels.ranges(self.own_seeds)
            raise ValueError(f"only_seed {seed} is not one of the group's, {there}.")
        return dataclasses.replace(self, seed=seed, seeds=1)

    def to_json(self) -> dict[str, Any]:
        """A flat dictionary of JSON values.

        Raises:
          ValueError: custom network modules that have no name here.
        """
        for what in ("actor", "critic"):
            if getattr(self.agent, what) is not None and getattr(self, what) is None:
                raise ValueError(f"a run's manifest cannot hold a module: name it as {what}.")
        values = {name: getattr(self, name) for name in setting_names(RunConfig)}
        values |= {
            name: getattr(self.agent, name) for name in setting_names(Config)
        } | self.hyperparameter_values
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
            agent = Config(**take(values, Config))
            hyperparameters = Hyperparameters(**take(values, Hyperparameters))
            settings = {"env": values["env"], **take(values, RunConfig)}
            return cls(agent=agent, hyperparameters=hyperparameters, **settings)
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"not the configuration of a run: {error}.") from error


def unknown_settings(values: dict[str, Any], written: int = upgrade.FORMAT) -> list[str]:
    """Names in a manifest that this version has no setting for, such as those of a newer one."""
    known = {name for kind in (RunConfig, Config, Hyperparameters) for name in setting_names(kind)}
    return sorted(set(upgrade.settings(values, written)) - known)


def setting_names(kind: Any) -> list[str]:
    """The settings among the fields of `RunConfig`, `Config` or `Hyperparameters`."""
    others = {Config: ("actor", "critic")}.get(kind, ("agent", "hyperparameters", "objects"))
    return [f.name for f in dataclasses.fields(kind) if f.name not in others]


def take(values: dict[str, Any], kind: Any) -> dict[str, Any]:
    """Those of the values that are settings of one of these records."""
    return {name: values[name] for name in setting_names(kind) if name in values}
