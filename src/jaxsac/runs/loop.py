"""The loop of a run: a driver advances, and everything worth keeping is written down."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from jaxsac.runs import init_from
from jaxsac.runs.checkpoints import best, snapshot
from jaxsac.runs.checkpoints.snapshot import Snapshot
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.directory.place import Place
from jaxsac.runs.display.observer import Observer
from jaxsac.runs.display.phases import WALL_TIME, Phase, PhaseClock, stopping
from jaxsac.runs.due import due_after, due_offline
from jaxsac.runs.metrics import log
from jaxsac.runs.metrics.metric_rows import columns
from jaxsac.runs.metrics.metrics import MetricsWriter
from jaxsac.runs.policies.recorder import Recorder
from jaxsac.runs.process.interrupt import Interrupt
from jaxsac.runs.resume import resume
from jaxsac.runs.settings.config import RunConfig
from jaxsac.runs.sinks.sinks import Sinks
from jaxsac.training import learner, memory, offline, seed_axis
from jaxsac.training.carry import Carry
from jaxsac.training.driver import Driver
from jaxsac.training.prior_data import PriorData
from jaxsac.training.returns import Evaluation, without_return

BEFORE_ACTING = -1
"""The step after which offline updates end: what is due at step 0 is due then."""


class Loop:
    """Steps, and all that is due after them, until the last or a request to stop."""

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
        recorder: Recorder,
    ) -> None:
        """Of a run that has its directory.

        Args:
          config: the run.
          run: its directory.
          driver: that has not started.
          axis: how the learners are laid out.
          structs: of the learners, one row for each member.
          observer: is told what happens.
          source: another run that this one begins with.
          prior: data from before it.
          recorder: of videos.
        """
        self.config, self.directory, self.driver = config, run, driver
        self.axis, self.structs, self.observer = axis, structs, observer
        self.source, self.prior, self.recorder = source, prior, recorder
        self.stop = Interrupt(self._announce_stop)
        self.sinks = Sinks(config, run, observer.message)
        self.best = best.returns(run.best, config.member_names)
        self.state = Snapshot.start(config.population)
        self.saved: int | None = None
        self.clock = PhaseClock("making environments")
        self.last_shown = 0.0

    @property
    def seconds(self) -> float:
        """The `wall_time` of the metrics, that before a resume included."""
        return self.state.seconds + self.clock.seconds(*WALL_TIME)

    def resume(self) -> None:
        """Takes up the newest checkpoint that can be used; see `runs.resume`."""
        self._enter("restoring")
        found = resume(
            self.config, self.directory, self.driver, self.axis, self.structs, self.observer
        )
        # Where the run starts again, what it had kept was set aside.
        self.best = best.returns(self.directory.best, self.config.member_names)
        if found is not None:
            self.state, self.saved = found, self.driver.step

    def run(self) -> bool:
        """Steps, logs, evaluates and saves until the last step or a request to stop.

        Returns:
          Whether the run reached its last step.
        """
        config, driver = self.config, self.driver
        with self.stop as stop, contextlib.ExitStack() as opened:
            opened.callback(self._close)
            self.place = opened.enter_context(Place(self.directory, config.lock, driver.step))
            self.writer = opened.enter_context(
                MetricsWriter(
                    self.directory.metrics,
                    config.member_names,
                    columns(self.structs.metrics.mean),
                    self.state.metrics_rows,
                )
            )
            opened.enter_context(self.sinks)
            log.tell_what_is_amiss(config, self.directory, self.writer, self.observer)
            self.observer.started(driver.step, self.seconds)
            try:
                self._start()
                self._learn_offline()
                while True:
                    if self.state.logged < driver.step:
                        self._log_and_save()
                    if driver.step >= config.steps or stop.requested:
                        break
                    self._advance()
                    self._show()
            except BaseException as error:
                # An error from an environment finds everything whole: nothing is lost.
                if not self._ends_at_once(error):
                    self._save_if_whole()
                raise
            else:
                self._save_if_whole()
        complete = driver.step >= config.steps
        self._enter("complete" if complete else "stopped")
        log.tell_slow_saving(self.clock, self.observer)
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
                begin_acting = self.axis.program(learner.begin_acting, donate=(0,))
                self.driver.learning = begin_acting(self.driver.learning)
        self.prior = self.source = None  # and what they hold
        if self.config.eval_every:
            self.driver.prepare_evaluation(self.config.eval_episodes)

    def _learn_offline(self) -> None:
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
            if done == config.offline_steps:
                driver.learning = updates.begin_acting(driver.learning)
                self.state = self.state._replace(logged=BEFORE_ACTING)
            elif due.log == min(due):
                self._log(None)
            if due.save == min(due):
                self._save()
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
        self.observer.message(stopping(self.clock.phase, signal))

    def _ends_at_once(self, error: BaseException) -> bool:
        """Whether it is a second Ctrl-C; the first KeyboardInterrupt is an environment's own."""
        return isinstance(error, KeyboardInterrupt) and self.stop.requested

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
        except (Exception, KeyboardInterrupt) as error:
            if self.driver.whole and not self._ends_at_once(error):
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
                f"of its first {step} transitions a seed had {discarded} with a NaN, an infinity "
                "or a number beyond float32 in observation, reward or action: too few are left for "
                f"a batch of {self.config.batch_size}. Fix the environment {self.config.env}."
            )

    def _log_and_save(self) -> None:
        step, due = self.driver.step, due_after(self.state.logged, self.config)
        evaluated = self._evaluate() if due.evaluate <= step else None
        if evaluated is not None or due.log <= step:
            self._log(evaluated)
        self.state = self.state._replace(logged=step)
        if due.save <= step:
            self._save()
        if due.record <= step:
            self.place.check(step)
            with self._during("recording"):
                self.recorder.record(self.driver, self.axis)

    def _evaluate(self) -> Evaluation:
        driver = self.driver
        with self._during("evaluating"):
            evaluated = driver.evaluate(
                driver.learning.policy, driver.step, self.config.eval_episodes, sampled=False
            )
            self._keep_best(evaluated.returns.mean(axis=1))
        for sentence in without_return(evaluated.returns):
            self.observer.message(sentence)
        return evaluated

    def _keep_best(self, means: np.ndarray) -> None:
        """Keeps the policies of the members that are better than they have been, (S,)."""
        better = {k: float(mean) for k, mean in enumerate(means) if mean > self.best[k]}
        if not better:
            return
        self.place.check(self.driver.step)
        driver, names = self.driver, self.config.member_names
        best.keep(
            self.directory.best, names, better, driver.step, driver.learning.policy, self.axis
        )
        for index, mean in better.items():
            self.best[index] = mean

    def _log(self, evaluated: Evaluation | None) -> None:
        self.place.check(self.driver.step)
        log.reopen(self.writer, self.directory, self.observer)
        log.record_failures(self.config, self.directory, self.driver, self.observer)
        self.state, progress = log.write_rows(
            self.config, self.driver, self.axis, self.state, self.seconds, evaluated, self.writer
        )
        # Before others hear of the rows: whatever they raise, a run that goes on has these.
        self.state = self.state._replace(logged=self.driver.step)
        self.sinks.write(progress.rows)
        if self.observer.progress(progress) is True:
            self.stop.requested = True

    def _show(self) -> None:
        now = self.clock.seconds(*WALL_TIME)
        if now - self.last_shown > 0.2:
            self.observer.stepped(self.driver.step)
            self.last_shown = now

    def _save_if_whole(self) -> None:
        if self.driver.whole and self.saved != self.driver.step:
            self._save()

    def _save(self) -> None:
        run = self.state._replace(seconds=self.seconds, metrics_rows=self.writer.rows())
        keep_replay = self.config.keep_replay or self.driver.step < self.config.steps
        with self._during("saving"):
            self.place.check(self.driver.step)
            log.record_failures(self.config, self.directory, self.driver, self.observer)
            members = self.config.member_names
            snapshot.save(
                self.directory.checkpoints, members, self.driver, self.axis, run, keep_replay
            )
        if not keep_replay:
            plan = memory.measure(self.axis, self.structs)
            held = int(self.axis.take(np.asarray(self.driver.learning.buffer.size)).sum())
            log.tell_replay_is_left_out(held, plan.transition_bytes, self.observer)
        self.saved = self.driver.step
