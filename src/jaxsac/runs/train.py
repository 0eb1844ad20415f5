"""A training run: a driver advances, and everything worth keeping is written down."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsac.runs import checkpoint, failures, flags, metrics, releases, snapshot
from jaxsac.training import memory, seed_axis
from jaxsac.runs.bundle import BundleError
from jaxsac.runs.config import RunConfig
from jaxsac.training.driver import Driver, learning_structs
from jaxsac.training.drivers import make_driver
from jaxsac.training.learner import Carry
from jaxsac.runs.due import due_after
from jaxsac.runs.interrupt import Interrupt
from jaxsac.runs.metrics import MetricsWriter
from jaxsac.runs.observer import Observer, Progress
from jaxsac.training.returns import Evaluation, Totals
from jaxsac.runs.metric_rows import columns, rows
from jaxsac.runs.directory import RunDirectory, versions
from jaxsac.runs.snapshot import Snapshot
from jaxsac.runs.spaces import Spaces
from jaxsac.sac.checks import check_hyperparameters


def train(config: RunConfig, directory: Path, observer: Observer) -> bool:
    """Trains a population of independent members, or resumes a run that was stopped.

    A run that is stopped, by a signal or by a kill, and resumed ends as it would have ended
    without, bit for bit on a CPU; so does one that is asked for more steps than it was begun with.
    SIGINT (Ctrl-C), SIGTERM and SIGUSR1 end the run after the current step, with everything saved; a second
    one ends it at once.

    Args:
      config: the run.
      directory: where it is written; created if need be.
      observer: told about the start, every row of the metrics, and the end.

    Returns:
      Whether the run is complete; False when it was stopped before its last step.

    Raises:
      ValueError: an environment or value that cannot be trained on; nothing is written then.
      MemoryError: replay does not fit; names the capacity that would.
      RunDirectoryError: the directory belongs to another run, or another process trains there.
      BundleError: the run has checkpoints, and none of them can be used.
      FloatingPointError: the environment's warm-up is mostly not finite.
    """
    run = RunDirectory(directory)
    with run.locked():
        return _train(config, run, observer)


def _train(config: RunConfig, run: RunDirectory, observer: Observer) -> bool:
    if unknown := run.describe_unknown_settings():
        observer.message(unknown)
    if run.is_finished(config):
        observer.message(f"{run.path} holds this run, complete: nothing to do.")
        return True
    flags.check()
    seed_axis.configure_host_devices(config.population)
    axis = seed_axis.axis(config.population, config.seed_layout)
    population = config.to_population()
    driver = make_driver(population, axis)
    check_hyperparameters(config.hyperparameters, driver.action.shape[0])
    structs = learning_structs(population, driver.observation, driver.action)
    releases.warn(observer.message)
    observer.message(axis.describe())
    observer.message(memory.plan(axis, structs).describe())
    for found in driver.examine(evaluates=config.eval_every > 0):
        observer.message(found)
    spaces = Spaces(driver.observation, driver.action, driver.action_map)
    new = run.create(config, spaces)
    training = _Training(config, run, driver, axis, structs, observer)
    if not new:
        training.resume()
        run.extend(config, spaces)
    complete = training.run()
    if complete:
        run.finish()
    return complete


class _Training:
    """The state of `train` while it runs."""

    def __init__(
        self,
        config: RunConfig,
        run: RunDirectory,
        driver: Driver,
        axis: seed_axis.SeedAxis,
        structs: Carry,
        observer: Observer,
    ) -> None:
        self.config, self.directory, self.driver = config, run, driver
        self.axis, self.structs, self.observer = axis, structs, observer
        self.state = Snapshot.start(config.population)
        self.saved: int | None = None
        self.saving_seconds = 0.0

    def resume(self) -> None:
        """Takes up the newest checkpoint that can be used, and says so in words.

        Raises:
          BundleError: there are checkpoints, and none can be used.
        """
        saved = checkpoint.steps(self.directory.checkpoints)
        if not saved:
            kept = metrics.set_aside(self.directory.metrics)
            self.observer.message(
                f"{self.directory.path} has no checkpoint: starting again."
                + (f" The metrics that it had are in {kept}." if kept else "")
            )
        for step in reversed(saved):
            try:
                return self._restore(step)
            except BundleError as error:
                if step == saved[0]:
                    raise
                self.observer.message(f"{error} Trying the checkpoint before it.")

    def run(self) -> bool:
        """Steps, logs, evaluates and saves until the last step or a request to stop.

        Returns:
          Whether the run reached its last step.
        """
        config, driver = self.config, self.driver
        seconds = self.state.seconds
        writer = MetricsWriter(
            self.directory.metrics,
            config.member_names,
            columns(self.structs.metrics),
            self.state.metrics_rows,
        )
        with writer, Interrupt() as stop:
            if not writer.complete:
                self.observer.message(
                    f"rows are missing in {self.directory.metrics}: they cannot be brought back."
                )
            if config.steps <= config.learning_starts:
                self.observer.message(
                    f"nothing will be learned: the {config.steps:,} steps are all warm-up "
                    f"(learning_starts {config.learning_starts:,})."
                )
            self.observer.started(driver.step, seconds)
            self.start_time = self.last_shown = time.monotonic() - seconds
            try:
                if not driver.whole:
                    driver.start()
                while True:
                    if self.state.logged < driver.step:
                        self._log_and_save(writer)
                    if driver.step >= config.steps or stop.requested:
                        break
                    self._advance()
                    self._show()
            finally:
                # An error from an environment finds everything whole: nothing is lost.
                if driver.whole and self.saved != driver.step:
                    self._save(writer)
                self._close()
        if self.saving_seconds:
            share = self.saving_seconds / (time.monotonic() - self.start_time - seconds)
            self.observer.message(
                f"checkpoints took {self.saving_seconds:.1f} s, {share:.1%} of the time."
            )
        return driver.step >= config.steps

    def _close(self) -> None:
        """Closes the environments; one that cannot be closed costs nothing that was learned."""
        try:
            self.driver.close()
        except Exception as error:
            self.observer.message(f"{self.config.env} raises when it is closed: {error!r}.")

    def _advance(self) -> None:
        """Advances, not past what has to be done next."""
        step = self.driver.step
        due = due_after(step, self.config)
        try:
            totals = self.driver.advance(min(due))
        except Exception as error:
            if self.driver.whole:
                error.add_note(
                    f"All until then, {step:,} transitions per seed, is saved: fix the "
                    "environment, and the same command resumes there."
                )
            raise
        self.state = self.state._replace(totals=self.state.totals + totals)
        if due.learn <= self.driver.step:
            self._check_warm_up()

    def _check_warm_up(self) -> None:
        """Refuses to learn from a replay that holds less than one batch."""
        step, discarded = self.driver.step, int(self.state.totals.discarded.max())
        if step - discarded < self.config.batch_size:
            self.driver.whole = False  # nothing here is worth a checkpoint
            raise FloatingPointError(
                f"of its first {step} transitions a seed had {discarded} with a NaN or an infinity "
                "in observation, reward or action: too few are left for a batch of "
                f"{self.config.batch_size}. Fix the environment {self.config.env}."
            )

    def _log_and_save(self, writer: MetricsWriter) -> None:
        step, due = self.driver.step, due_after(self.state.logged, self.config)
        evaluated = self._evaluate() if due.evaluate <= step else None
        if evaluated is not None or due.log <= step:
            self._log(writer, evaluated)
        self.state = self.state._replace(logged=step)
        if due.save <= step:
            self._save(writer)

    def _evaluate(self) -> Evaluation:
        driver = self.driver
        return driver.evaluate(
            driver.learning.policy, driver.step, self.config.eval_episodes, sampled=False
        )

    def _record_failures(self) -> None:
        """Keeps each seed's first update that was not finite, before anything else is saved."""
        driver = self.driver
        written = failures.record(
            self.directory.failures, self.config.member_names, driver.step, driver.learning
        )
        for folder in written:
            self.observer.message(
                f"an update was not finite and has been left out: `jaxsac replay-failure {folder}` "
                "says why."
            )

    def _log(self, writer: MetricsWriter, evaluated: Evaluation | None) -> None:
        self._record_failures()
        driver, state = self.driver, self.state
        latest = self.axis.take(jax.device_get(driver.learning.metrics))
        seconds = time.monotonic() - self.start_time
        new = rows(self.config, driver.step, seconds, latest, state.totals, evaluated)
        for index, row in enumerate(new):
            writer.write(index, row)
        nothing = Totals.none(self.config.population)
        self.state = state = state._replace(
            totals=nothing._replace(discarded=state.totals.discarded),
            train_returns=_latest("train_return", new, state.train_returns),
            eval_returns=_latest("eval_return", new, state.eval_returns),
        )
        self.observer.progress(
            Progress(
                driver.step,
                seconds,
                evaluated is not None,
                state.train_returns,
                state.eval_returns,
                int(latest.skipped.sum()),
                int(state.totals.discarded.sum()),
            )
        )

    def _show(self) -> None:
        now = time.monotonic()
        if now - self.last_shown > 0.2:
            self.observer.stepped(self.driver.step)
            self.last_shown = now

    def _save(self, writer: MetricsWriter) -> None:
        start = time.monotonic()
        self._record_failures()
        run = self.state._replace(seconds=start - self.start_time, metrics_rows=writer.rows())
        members = self.config.member_names
        snapshot.save(self.directory.checkpoints, members, self.driver, self.axis, run)
        self.saved = self.driver.step
        self.saving_seconds += time.monotonic() - start

    def _restore(self, step: int) -> None:
        config, driver = self.config, self.driver
        self.state, restarted, written_under = snapshot.load(
            self.directory.checkpoints, step, config.member_names, driver,
            self.structs, self.axis,
        )  # fmt: skip
        self.saved = step
        held = np.asarray(driver.learning.buffer.size)
        self.observer.message(
            f"{self.directory.path} resumes at step {step:,}: learners, replay of "
            f"{held.min():,} transitions per seed, environments in mid-episode, metrics."
        )
        if restarted:
            self.observer.message(
                f"{restarted} of {config.population * config.num_envs} environments do not depend "
                "on their seed and actions alone: their episodes start anew, and the run is not "
                "the one that it would have been."
            )
        changed = [
            f"{name} {written_under.get(name)} -> {now}"
            for name, now in versions().items()
            if written_under.get(name) != now
        ]
        if changed:
            self.observer.message(
                f"versions have changed ({', '.join(changed)}): the rest of the run may differ in "
                "its last digits from one that was not stopped."
            )


def _latest(
    column: str, new: list[dict[str, Any]], before: list[float | None]
) -> list[float | None]:
    return [row.get(column, old) for row, old in zip(new, before, strict=True)]
