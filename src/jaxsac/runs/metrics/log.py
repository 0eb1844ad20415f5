"""The rows of a run's metrics, and word of them to whoever watches."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
from typing import Any

import jax

from jaxsac import named
from jaxsac.runs.checkpoints import failures
from jaxsac.runs.checkpoints.snapshot import Snapshot
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.display.observer import Observer, Progress
from jaxsac.runs.display.phases import WALL_TIME, PhaseClock
from jaxsac.runs.metrics.metric_rows import rows
from jaxsac.runs.metrics.metrics import MetricsWriter
from jaxsac.runs.settings.config import RunConfig
from jaxsac.training import interval
from jaxsac.training.driver import Driver
from jaxsac.training.interval import Interval
from jaxsac.training.returns import Evaluation, Totals
from jaxsac.training.seed_axis import SeedAxis

SLOW_SAVING = 1.0
"""Seconds that the checkpoints of a run may take without a word."""


def write_rows(
    config: RunConfig,
    driver: Driver,
    axis: SeedAxis,
    state: Snapshot,
    seconds: float,
    evaluated: Evaluation | None,
    writer: MetricsWriter,
) -> tuple[Snapshot, Progress]:
    """Writes a row for each member, and begins the next interval of the learners' metrics.

    Args:
      config: the run.
      driver: between two steps.
      axis: how the learners are laid out.
      state: of the run, with what its episodes came to since the row before.
      seconds: of the run so far.
      evaluated: the evaluation at this step, if there is one.
      writer: of the files.

    Returns:
      The state after it, and what whoever watches is told.
    """
    learning = driver.learning
    learned, target_entropy = axis.take(
        jax.device_get((learning.metrics, learning.agent.hyperparameters.target_entropy))
    )
    begin = _begin_interval(axis.sharding)
    driver.learning = learning._replace(metrics=begin(learning.metrics))
    new = rows(
        config, driver.step, seconds, learned, target_entropy, state.totals, evaluated,
        state.offline_updates,
    )  # fmt: skip
    for index, row in enumerate(new):
        writer.write(index, row)
    nothing = Totals.none(config.population)
    state = state._replace(
        totals=nothing._replace(discarded=state.totals.discarded),
        train_returns=_latest("train_return", new, state.train_returns),
        eval_returns=_latest("eval_return", new, state.eval_returns),
    )
    return state, Progress(
        step=driver.step,
        evaluated=evaluated is not None,
        train_returns=state.train_returns,
        eval_returns=state.eval_returns,
        skipped=int(learned.mean.skipped.sum()),
        discarded=int(state.totals.discarded.sum()),
        rows=[own | row for own, row in zip(config.members, new, strict=True)],
    )


def tell_what_is_amiss(
    config: RunConfig, run: RunDirectory, writer: MetricsWriter, observer: Observer
) -> None:
    """Says, before the first step, what the rows will not show."""
    names = (config.env, *config.wrapper, config.actor, config.critic)
    if here := [name for name in names if name and named.is_only_here(name)]:
        observer.message(f"{' and '.join(here)}: {named.ONLY_HERE}")
    if not writer.complete:
        observer.message(f"rows are missing in {run.metrics}: they cannot be brought back.")
    if not (config.offline_steps or config.to_population().schedule.updates_due(config.steps)):
        observer.message(
            f"nothing will be learned: no update is due within {config.steps:,} steps "
            f"(learning_starts {config.learning_starts:,}, update_every {config.update_every:,}, "
            f"utd {config.utd:g})."
        )


def reopen(writer: MetricsWriter, run: RunDirectory, observer: Observer) -> None:
    """Has files of rows that were removed while the run trained made anew, and says so."""
    if gone := writer.reopen():
        observer.message(
            f"{', '.join(file.name for file in gone)} of {run.metrics} was removed or replaced "
            "while the run trained: the rows that are not there cannot be brought back."
        )


def tell_slow_saving(clock: PhaseClock, observer: Observer) -> None:
    """Says what checkpoints took, where that is worth a word."""
    if (saving := clock.seconds("saving")) > SLOW_SAVING:
        share = saving / clock.seconds(*WALL_TIME)
        observer.message(f"checkpoints took {saving:.1f} s, {share:.1%} of the time.")


def tell_replay_is_left_out(held: int, transition_bytes: int, observer: Observer) -> None:
    """Says what the last checkpoint of a run does not have."""
    observer.message(
        f"the last checkpoint is without replay: {held:,} transitions, "
        f"{held * transition_bytes:,} bytes. The run cannot be given more steps."
    )


def record_failures(
    config: RunConfig, run: RunDirectory, driver: Driver, observer: Observer
) -> None:
    """Keeps each seed's first update that was not finite, before anything else is saved."""
    for folder in failures.record(run.failures, config.member_names, driver.step, driver.learning):
        observer.message(
            "an update was not finite and has been left out: "
            f"`jaxsac replay-failure {shlex.quote(str(folder))}` says why."
        )


@functools.cache
def _begin_interval(sharding: jax.sharding.Sharding) -> Callable[[Interval], Interval]:
    """`interval.begin`, laid out as the step leaves it, so that the step is compiled once."""
    return jax.jit(interval.begin, out_shardings=sharding)


def _latest(
    column: str, new: list[dict[str, Any]], before: list[float | None]
) -> list[float | None]:
    return [row.get(column, old) for row, old in zip(new, before, strict=True)]
