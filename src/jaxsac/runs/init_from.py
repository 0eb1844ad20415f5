"""A run that begins with what another has learned, under settings of its own."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsac.runs.checkpoints import checkpoint, rings
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.checkpoints.saved_replay import SavedReplay
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.settings import labels
from jaxsac.runs.settings.config import RunConfig
from jaxsac.sac.optimize import rewound
from jaxsac.training.carry import Carry
from jaxsac.training.driver import Driver
from jaxsac.training.seed_axis import SeedAxis
from jaxsac.types import PyTree


class Group(NamedTuple):
    """Some seeds of the source: those that it began with, or such as were added to it."""

    run: RunDirectory
    config: RunConfig
    step: int
    """Of its latest checkpoint."""
    facts: dict[str, Any]
    """Of that checkpoint."""

    @classmethod
    def of(cls, run: RunDirectory) -> Group:
        """Reads it, but for its arrays."""
        step = checkpoint.latest(run.checkpoints)
        return cls(run, run.config(), step, checkpoint.verify(run.checkpoints, step))


class Source:
    """The latest checkpoint of a run that another begins with.

    Its agents are taken as they are (networks, optimizers, temperature), with the hyperparameters
    of the new run, whose updates, and with them the schedules of learning rates, are counted from
    0; and the scales of observations and rewards. A member begins with the agent of its own seed
    where the source has that; others take the agents that are left in turn. Of a sweep it is the
    one at the member's own point.
    """

    def __init__(self, config: RunConfig, structs: Carry) -> None:
        """Finds it, and reads what does not take long, so that a misfit is said at once.

        Args:
          config: of the new run; its `init_from` names the source.
          structs: of the new run's learners, one row for each member.

        Raises:
          RunDirectoryError, BundleError: there is no such run or checkpoint, what it has learned
            does not fit the networks, spaces or scale of the new run, or it is a sweep without the
            point of a member.
        """
        self._run = RunDirectory(Path(config.init_from or ""))
        self._structs, self._with_replay = structs, config.init_replay
        self._groups = [Group.of(run) for run in self._run.groups()]
        source = self._groups[0].config
        self._from: list[tuple[Group, int]] = []
        for point in range(len(config.points)):
            self._from += self._agents_at(config, point)
        self._names = config.member_names
        self._refuse_misfit(config)
        self._replays: list[SavedReplay] = []
        if self._with_replay:
            self._replays = [
                SavedReplay(group.run.checkpoints, group.step, group.facts, source.replay_capacity)
                for group in self._groups
            ]
        self._agent = rewound(self._take("agent", structs.agent))
        self._normalizer: Any = ()
        if structs.normalizer:
            self._normalizer = self._take("normalizer", structs.normalizer)
        self._return_scale: Any = ()
        if structs.return_scale:  # but for the sums of episodes that go on
            scale = {"return_scale": structs.return_scale.replace(sums=())}
            self._return_scale = self._take("learning", scale)["return_scale"]

    def _refuse_misfit(self, config: RunConfig) -> None:
        """Refuses a run that shows its agents what they have not learned on."""
        source, facts = self._groups[0].config, self._groups[0].facts
        scaled = "normalizer.safetensors" in facts["sha256"]
        if bool(self._structs.normalizer) != scaled:
            raise BundleError(
                f"{self._run.path} was trained with normalize_observations {scaled}: its agents "
                "see no other scale."
            )
        if source.frame_stack != config.frame_stack:
            raise BundleError(
                f"{self._run.path} was trained with frame_stack {source.frame_stack}: its agents "
                "see stacks of no other size."
            )
        there_is, asked_for = (_describe_scale(each) for each in (source, config))
        if there_is != asked_for:
            raise BundleError(
                f"{self._run.path} was trained with {there_is}: its critics know no other rewards."
            )

    def _agents_at(self, config: RunConfig, point: int) -> list[tuple[Group, int]]:
        """For each seed of the new run at a point, the agent that it begins with."""
        there: dict[int, tuple[Group, int]] = {}
        for group in self._groups:
            first = self._same_point(group.config, config, point) * group.config.seeds
            for index, seed in enumerate(group.config.own_seeds, first):
                there[seed] = (group, index)
        asked = config.own_seeds
        in_turn = itertools.cycle([seed for seed in there if seed not in asked] or there)
        return [there[seed if seed in there else next(in_turn)] for seed in asked]

    def _same_point(self, source: RunConfig, config: RunConfig, point: int) -> int:
        """The number of a point in the source; the only one, whatever it is, of no sweep.

        Raises:
          BundleError: it has several, and none like this.
        """
        if len(source.points) == 1:
            return 0
        values = config.hyperparameter_values | config.points[point]
        for number, each in enumerate(source.points):
            if all(values[name] == value for name, value in each.items()):
                return number
        own = ", ".join(f"{name} {values[name]}" for name in source.swept)
        points = "; ".join(labels.settings(each) for each in source.points)
        raise BundleError(
            f"{self._run.path} is a sweep over {points}, and has no point with this run's {own}: "
            "give the values of the one to begin with."
        )

    def give(self, driver: Driver, axis: SeedAxis) -> str:
        """Hands it over to learners that have just started.

        Returns:
          What was taken, for a person.
        """
        learning: Carry = driver.learning
        new, scale = learning.agent, learning.return_scale
        agent = axis.place(self._agent).replace(
            hyperparameters=new.hyperparameters, step=new.step, skipped=new.skipped
        )
        if scale:
            scale = axis.place(self._return_scale).replace(sums=scale.sums)
        driver.learning = learning._replace(
            agent=agent,
            normalizer=axis.place(self._normalizer),
            return_scale=scale,
            buffer=self._buffer(axis) if self._with_replay else learning.buffer,
        )
        held = np.asarray(driver.learning.buffer.size)
        steps = " and ".join(f"{step:,}" for step in sorted({g.step for g, _ in self._from}))
        return f"begins with the agents of {self._run.path} at step {steps}" + (
            f" and {held.min():,} transitions of replay." if self._with_replay else "."
        )

    def _take(self, part: str, structs: PyTree) -> PyTree:
        """Rows of the source for the members here."""
        rows = {group.run.path: self._rows_of(group, part, structs) for group in self._groups}
        chosen = [
            jax.tree.map(lambda x, index=index: x[index], rows[group.run.path])
            for group, index in self._from
        ]
        return jax.tree.map(lambda *x: np.stack(x), *chosen)

    def _rows_of(self, group: Group, part: str, structs: PyTree) -> PyTree:
        there = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((group.config.population, *x.shape[1:]), x.dtype),
            structs,
        )
        try:
            return checkpoint.load(
                group.run.checkpoints, group.step, part, there, partial=part == "learning"
            )
        except BundleError as error:
            raise BundleError(
                f"the {part} of {group.run.path} does not fit this run, whose networks, "
                f"optimizers and spaces must be alike: {error}"
            ) from error

    def _buffer(self, axis: SeedAxis) -> Any:
        """The latest transitions of the source, as many as fit, the oldest first."""
        structs = self._structs.buffer
        capacity = next(iter(structs.rows.values())).shape[1]
        widths = {dtype: rows.shape[-1] for dtype, rows in structs.rows.items()}
        saved = {
            member: (self._replays[self._groups.index(group)], group.config.member_names[index])
            for member, (group, index) in zip(self._names, self._from, strict=True)
        }

        def replay_of(member: str) -> dict[str, np.ndarray]:
            replay, name = saved[member]
            rows = replay.rows(name, widths)
            return {dtype: values[-capacity:] for dtype, values in rows.items()}

        rows = rings.place(structs.rows, self._names, replay_of, axis)
        held = np.array(
            [min(replay.sizes[name], capacity) for replay, name in saved.values()], np.int32
        )
        return structs.replace(
            rows=rows, size=axis.place(held), position=axis.place(held % np.int32(capacity))
        )


def _describe_scale(config: RunConfig) -> str:
    bound = f" and reward_scale_bound {config.reward_scale_bound}"
    return f"reward_scale {config.reward_scale}" + bound * (config.reward_scale == "return_bound")
