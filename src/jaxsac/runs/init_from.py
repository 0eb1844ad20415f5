"""A run that begins with what another has learned, under settings of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsac.runs import checkpoint, rings
from jaxsac.runs.bundle import BundleError
from jaxsac.runs.config import RunConfig
from jaxsac.runs.directory import RunDirectory
from jaxsac.runs.saved_replay import SavedReplay
from jaxsac.training.carry import Carry
from jaxsac.training.driver import Driver
from jaxsac.training.seed_axis import SeedAxis
from jaxsac.types import PyTree


class Source:
    """The latest checkpoint of a run that another begins with.

    Its agents are taken as they are (networks, optimizers, temperature, counters), with the
    hyperparameters of the new run; and the scale of their observations. A member begins with the
    agent of its own seed where the source has that, otherwise the source's members are taken in
    turn.
    """

    def __init__(self, config: RunConfig, structs: Carry) -> None:
        """Finds it, and reads what does not take long, so that a misfit is said at once.

        Args:
          config: of the new run; its `init_from` names the source.
          structs: of the new run's learners, one row for each member.

        Raises:
          RunDirectoryError, BundleError: there is no such run or checkpoint, or what it has learned
            does not fit the networks, spaces or scale of the new run.
        """
        self._run = RunDirectory(Path(config.init_from or ""))
        self._structs, self._with_replay = structs, config.init_replay
        source = self._run.config()
        self.step = checkpoint.latest(self._run.checkpoints)
        facts = checkpoint.verify(self._run.checkpoints, self.step)
        seeds = source.member_seeds
        self._from = [
            seeds.index(seed) if seed in seeds else index % len(seeds)
            for index, seed in enumerate(config.member_seeds)
        ]
        self._names = dict(
            zip(config.member_names, (source.member_names[i] for i in self._from), strict=True)
        )
        if bool(structs.normalizer) != source.normalize_observations:
            raise BundleError(
                f"{self._run.path} was trained with normalize_observations "
                f"{source.normalize_observations}: its agents see no other scale."
            )
        if source.frame_stack != config.frame_stack:
            raise BundleError(
                f"{self._run.path} was trained with frame_stack {source.frame_stack}: its agents "
                "see stacks of no other size."
            )
        self._replay = None
        if self._with_replay:
            self._replay = SavedReplay(
                self._run.checkpoints, self.step, facts, source.replay_capacity
            )
        population = source.population
        self._agent = self._take("agent", structs.agent, population)
        self._normalizer: Any = ()
        if structs.normalizer:
            self._normalizer = self._take("normalizer", structs.normalizer, population)

    def give(self, driver: Driver, axis: SeedAxis) -> str:
        """Hands it over to learners that have just started.

        Returns:
          What was taken, for a person.
        """
        learning: Carry = driver.learning
        agent = axis.place(self._agent).replace(hyperparameters=learning.agent.hyperparameters)
        driver.learning = learning._replace(
            agent=agent, normalizer=axis.place(self._normalizer), buffer=self._buffer(axis)
            if self._with_replay else learning.buffer,
        )  # fmt: skip
        held = np.asarray(driver.learning.buffer.size)
        return f"begins with the agents of {self._run.path} at step {self.step:,}" + (
            f" and {held.min():,} transitions of replay." if self._with_replay else "."
        )

    def _take(self, part: str, structs: PyTree, population: int) -> PyTree:
        """Rows of the source for the members here."""
        there = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((population, *x.shape[1:]), x.dtype), structs
        )
        try:
            rows = checkpoint.load(self._run.checkpoints, self.step, part, there)
        except BundleError as error:
            raise BundleError(
                f"the {part} of {self._run.path} does not fit this run, whose networks and spaces "
                f"must be alike: {error}"
            ) from error
        return jax.tree.map(lambda x: x[np.array(self._from)], rows)

    def _buffer(self, axis: SeedAxis) -> Any:
        """The latest transitions of the source, as many as fit, the oldest first."""
        structs = self._structs.buffer
        capacity = next(iter(structs.rows.values())).shape[1]
        widths = {dtype: rows.shape[-1] for dtype, rows in structs.rows.items()}
        saved, names = self._replay, self._names
        assert saved is not None

        def replay_of(member: str) -> dict[str, np.ndarray]:
            rows = saved.rows(names[member], widths)
            return {dtype: values[-capacity:] for dtype, values in rows.items()}

        rows = rings.place(structs.rows, list(names), replay_of, axis)
        held = np.array([min(saved.sizes[name], capacity) for name in names.values()], np.int32)
        return structs.replace(
            rows=rows, size=axis.place(held), position=axis.place(held % np.int32(capacity))
        )
