"""A training run: a driver advances, and everything worth keeping is written down."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsac.runs import best, checkpoint, failures, flags, init_from, metrics, releases, snapshot
from jaxsac.runs.bundle import BundleError
from jaxsac.runs.config import RunConfig
from jaxsac.runs.directory import RunDirectory, versions
from jaxsac.runs.due import due_after, due_offline
from jaxsac.runs.interrupt import Interrupt
from jaxsac.runs.metric_rows import columns, rows
from jaxsac.runs.metrics import MetricsWriter
from jaxsac.runs.observer import Observer, Progress
from jaxsac.runs.phases import WALL_TIME, Phase, PhaseClock
from jaxsac.runs.snapshot import Snapshot
from jaxsac.runs.spaces import Spaces
from jaxsac.sac.checks import check_hyperparameters
from jaxsac.training import interval, memory, offline, seed_axis
from jaxsac.training.driver import Driver, learning_structs
from jaxsac.training.drivers import make_driver
from jaxsac.training.interval import Interval
from jaxsac.training.learner import Carry
from jaxsac.training.prior_data import PriorData
from jaxsac.training.returns import Evaluation, Totals

STOP_AFTER: dict[Phase, str] = {
    "compiling": "the compiler is done",
    "learning offline": "these updates",
    "evaluating": "this evaluation",
    "saving": "this checkpoint",
}
"""What comes to its end before a run stops; "this step" in other phases."""
SLOW_SAVING = 1.0
"""Seconds that the checkpoints of a run may take without a word."""


def train(config: RunConfig, directory: Path, observer: Observer) -> bool:
    """Trains a population of independent members, or resumes a run that was stopped.

    A run that is stopped, by a signal or by a kill, and resumed ends as it would have ended
    without, bit for bit on a CPU; so does one that is asked for more steps than it was begun with.
    SIGINT (Ctrl-C), SIGTERM and SIGUSR1 end the run after the current step, with everything saved;
    a second one ends it at once.

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
    with run.locked() if config.lock else contextlib.nullcontext():
        return _train(config, run, observer)


def train_group(
    config: RunConfig, directory: Path, observe: Callable[[RunConfig], AbstractContextManager[Any]]
) -> bool:
    """`train`, with seeds that a run does not have yet added to it.

    A run of seeds 0 to 3 that is asked for seeds 0 to 5 trains 4 and 5 beside what it has, each as
    it would have learned among all.

    Args:
      config: the run.
      directory: as for `train`.
      observe: makes the observer of a group of seeds.

    Returns:
      Whether all seeds are complete.
    """
    for part, path in RunDirectory(directory).parts(config):
        with observe(part) as observer:
            if not train(part, path, observer):
                return False
    return True


def _train(config: RunConfig, run: RunDirectory, observer: Observer) -> bool:
    if unknown := run.describe_unknown_settings():
        observer.message(unknown)
    if run.is_finished(config):
        observer.message(f"{run.path} holds this run, complete: nothing to do.")
        return True
    flags.check()
    observer.phase("making environments")
    seed_axis.configure_host_devices(config.population)
    axis = seed_axis.axis(config.population, config.seed_layout)
    population = config.to_population()
    driver = make_driver(population, axis)
    check_hyperparameters(config.hyperparameters, driver.action.shape[0])
    structs = learning_structs(population, driver.observation, driver.action)
    releases.warn(observer.message)
    observer.message(axis.describe())
    prior = PriorData(population, driver) if config.prior_data else None
    prior_bytes = prior.num_bytes if prior else 0
    observer.message(memory.plan(axis, structs, prior_bytes).describe())
    if prior:
        observer.message(prior.describe())
    for remark in (*driver.remarks, *driver.examine()):
        observer.message(remark)
    spaces = Spaces(driver.observation, driver.action, driver.action_map)
    begun = bool(checkpoint.steps(run.checkpoints))
    source = init_from.Source(config, structs) if config.init_from and not begun else None
    new = run.create(config, spaces, prior.facts if prior else None)
    if prior:
        driver.prior = axis.share(prior.buffer())
    training = _Training(config, run, driver, axis, structs, observer, source, prior)
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
        source: init_from.Source | None,
        prior: PriorData | None,
    ) -> None:
        self.config, self.directory, self.driver = config, run, driver
        self.axis, self.structs, self.observer = axis, structs, observer
        self.source, self.prior = source, prior
        self.stop = Interrupt(self._announce_stop)
        self.best = best.returns(run.best, config.member_names)
        self.begin_interval = _begin_interval(axis.sharding)
        self.state = Snapshot.start(config.population)
        self.saved: int | None = None
        self.clock = PhaseClock("making environments")
        self.last_shown = 0.0

    @property
    def seconds(self) -> float:
        """The `wall_time` of the metrics, that before a resume included."""
        return self.state.seconds + self.clock.seconds(*WALL_TIME)

    def resume(self) -> None:
        """Takes up the newest checkpoint that can be used, and says so in words.

        Raises:
          BundleError: there are checkpoints, and none can be used.
        """
        self._enter("restoring")
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
        writer = MetricsWriter(
            self.directory.metrics,
            config.member_names,
            columns(self.structs.metrics.mean),
            self.state.metrics_rows,
        )
        with writer, self.stop as stop:
            if not writer.complete:
                self.observer.message(
                    f"rows are missing in {self.directory.metrics}: they cannot be brought back."
                )
            if config.steps <= config.learning_starts:
                self.observer.message(
                    f"nothing will be learned: the {config.steps:,} steps are all warm-up "
                    f"(learning_starts {config.learning_starts:,})."
                )
            self.observer.started(driver.step, self.seconds)
            try:
                self._start()
                self._learn_offline(writer)
                while True:
                    if self.state.logged < driver.step:
                        self._log_and_save(writer)
                    if driver.step >= config.steps or stop.requested:
                        break
                    self._advance()
                    self._show()
            except KeyboardInterrupt:  # a second Ctrl-C: nothing more is saved
                raise
            except BaseException:
                # An error from an environment finds everything whole: nothing is lost.
                self._save_if_whole(writer)
                raise
            else:
                self._save_if_whole(writer)
            finally:
                self._close()
        complete = driver.step >= config.steps
        self._enter("complete" if complete else "stopped")
        if (saving := self.clock.seconds("saving")) > SLOW_SAVING:
            share = saving / self.clock.seconds(*WALL_TIME)
            self.observer.message(f"checkpoints took {saving:.1f} s, {share:.1%} of the time.")
        return complete

    def _start(self) -> None:
        """Makes the learners where they are new, and compiles what an evaluation runs."""
        self._enter("compiling")
        if not self.driver.whole:
            self.driver.start()
            if self.prior is not None:
                self.driver.learning = self.prior.begin(self.driver.learning, self.axis)
            if self.source is not None:
                self.observer.message(self.source.give(self.driver, self.axis))
        if self.config.eval_every:
            self.driver.prepare_evaluation(self.config.eval_episodes)

    def _learn_offline(self, writer: MetricsWriter) -> None:
        """The updates on prior data alone, as far as they are not done yet."""
        config, driver, stop = self.config, self.driver, self.stop
        if driver.step or self.state.offline_updates >= config.offline_steps:
            return
        left = config.offline_steps - self.state.offline_updates
        self.observer.message(f"{left:,} updates on prior data alone, before the first action.")
        updates = offline.Updates(config.to_population(), self.axis)
        driver.learning = updates(driver.learning, 0, driver.prior)  # compiles
        self._enter("learning offline")
        while self.state.offline_updates < config.offline_steps and not stop.requested:
            due = due_offline(self.state.offline_updates, config)
            driver.learning = updates(driver.learning, min(due), driver.prior)
            done = self.state.offline_updates + min(due)
            self.state, self.saved = self.state._replace(offline_updates=done), None
            evaluated = None
            if done == config.offline_steps:
                driver.learning = updates.begin_acting(driver.learning)
                evaluated = self._evaluate() if config.eval_every else None
            if due.log == min(due):
                self._log(writer, evaluated)
            if due.save == min(due):
                self._save(writer)
        self._enter("compiling")

    def _enter(self, phase: Phase) -> None:
        if phase != self.clock.phase:
            self.observer.stepped(self.driver.step)
            self.clock.enter(phase)
            self.observer.phase(phase)

    @contextlib.contextmanager
    def _during(self, phase: Phase) -> Iterator[None]:
        """A phase that goes back to the one before it."""
        before = self.clock.phase
        self._enter(phase)
        yield
        self._enter(before)

    def _announce_stop(self, signal: str) -> None:
        self.observer.message(
            f"{signal}: stops after {STOP_AFTER.get(self.clock.phase, 'this step')}, with "
            f"everything saved. {signal} again: ends at once, without saving."
        )

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
        # The first advance, of one step, has compiled the program of all others.
        self._enter("warm-up" if self.driver.step < self.config.learning_starts else "training")
        self.state = self.state._replace(totals=self.state.totals + totals)
        if due.learn <= self.driver.step:
            self._check_warm_up()

    def _check_warm_up(self) -> None:
        """Refuses to learn from a replay that holds less than one batch."""
        step, discarded = self.driver.step, int(self.state.totals.discarded.max())
        held = self.axis.take(np.asarray(self.driver.learning.buffer.size))
        if held.min() < self.config.batch_size:
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
        with self._during("evaluating"):
            evaluated = driver.evaluate(
                driver.learning.policy, driver.step, self.config.eval_episodes, sampled=False
            )
            self._keep_best(evaluated.returns.mean(axis=1))
        return evaluated

    def _keep_best(self, means: np.ndarray) -> None:
        """Keeps the policies of the members that are better than they have been, (S,)."""
        better = {k: float(mean) for k, mean in enumerate(means) if mean > self.best[k]}
        if not better:
            return
        driver, names = self.driver, self.config.member_names
        best.keep(
            self.directory.best, names, better, driver.step, driver.learning.policy, self.axis
        )
        for index, mean in better.items():
            self.best[index] = mean

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
        learning = driver.learning
        learned, target_entropy = self.axis.take(
            jax.device_get((learning.metrics, learning.agent.hyperparameters.target_entropy))
        )
        driver.learning = learning._replace(metrics=self.begin_interval(learning.metrics))
        seconds = self.seconds
        new = rows(
            self.config, driver.step, seconds, learned, target_entropy, state.totals, evaluated,
            state.offline_updates,
        )  # fmt: skip
        for index, row in enumerate(new):
            writer.write(index, row)
        nothing = Totals.none(self.config.population)
        self.state = state = state._replace(
            totals=nothing._replace(discarded=state.totals.discarded),
            train_returns=_latest("train_return", new, state.train_returns),
            eval_returns=_latest("eval_return", new, state.eval_returns),
        )
        stop = self.observer.progress(
            Progress(
                driver.step,
                seconds,
                evaluated is not None,
                state.train_returns,
                state.eval_returns,
                int(learned.mean.skipped.sum()),
                int(state.totals.discarded.sum()),
                [own | row for own, row in zip(self.config.members, new, strict=True)],
            )
        )
        if stop is True:
            self.stop.requested = True

    def _show(self) -> None:
        now = self.clock.seconds(*WALL_TIME)
        if now - self.last_shown > 0.2:
            self.observer.stepped(self.driver.step)
            self.last_shown = now

    def _save_if_whole(self, writer: MetricsWriter) -> None:
        if self.driver.whole and self.saved != self.driver.step:
            self._save(writer)

    def _save(self, writer: MetricsWriter) -> None:
        run = self.state._replace(seconds=self.seconds, metrics_rows=writer.rows())
        keep_replay = self.config.keep_replay or self.driver.step < self.config.steps
        with self._during("saving"):
            self._record_failures()
            members = self.config.member_names
            snapshot.save(
                self.directory.checkpoints, members, self.driver, self.axis, run, keep_replay
            )
        if not keep_replay:
            plan = memory.plan(self.axis, self.structs)
            held = int(self.axis.take(np.asarray(self.driver.learning.buffer.size)).sum())
            self.observer.message(
                f"the last checkpoint is without replay: {held:,} transitions, "
                f"{held * plan.transition_bytes:,} bytes. The run cannot be given more steps."
            )
        self.saved = self.driver.step

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


@functools.cache
def _begin_interval(sharding: jax.sharding.Sharding) -> Callable[[Interval], Interval]:
    """`interval.begin`, laid out as the step leaves it, so that the step is compiled once."""
    return jax.jit(interval.begin, out_shardings=sharding)


def _latest(
    column: str, new: list[dict[str, Any]], before: list[float | None]
) -> list[float | None]:
    return [row.get(column, old) for row, old in zip(new, before, strict=True)]
