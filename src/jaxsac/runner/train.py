"""A training run: environments on the host, learning on the device, everything written down."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsac.envs import host
from jaxsac.envs.make import make, redirect_mujoco_warnings
from jaxsac.runner import checkpoint, loop, memory, seeds, snapshot
from jaxsac.runner.config import RunConfig
from jaxsac.runner.evaluate import (
    TRAINING_STREAM,
    Evaluation,
    Policy,
    environment_seeds,
    evaluate,
)
from jaxsac.runner.interrupt import Interrupt
from jaxsac.runner.metrics import MetricsWriter
from jaxsac.runner.observer import Observer, Progress
from jaxsac.runner.run_directory import RunDirectory, versions
from jaxsac.runner.snapshot import Snapshot
from jaxsac.sac.checks import check_hyperparameters
from jaxsac.types import transition_of


def train(config: RunConfig, directory: Path, observer: Observer) -> bool:
    """Trains `config.seeds` independent seeds, or goes on with a run that was stopped.

    A run that is stopped, by a signal or by a kill, and goes on ends as it would have ended
    without, bit for bit on a CPU. SIGINT (Ctrl-C) and SIGTERM end the run after the current step,
    with everything saved; a second one ends it at once.

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
      CheckpointError: the run has checkpoints, and none of them can be used.
      FloatingPointError: the environment's warm-up is mostly not finite.
    """
    run = RunDirectory(directory)
    if run.is_finished(config):
        observer.message(f"{directory} holds this run, complete: nothing to do.")
        return True
    redirect_mujoco_warnings()
    seeds.configure_host_devices(config.seeds)
    envs = host.HostEnvs(make(config.env, config.seeds * config.num_envs), config.seeds)
    check_hyperparameters(config.hyperparameters, envs.action_map.size)
    transition = transition_of(envs.observation_example, action_example(envs))
    plan = memory.plan_replay(config, transition)
    observer.message(plan.describe())
    new = run.create(config)
    with run.locked():
        training = _Training(config, run, envs, observer)
        if not new:
            training.go_on()
        complete = training.run()
        if complete:
            run.finish()
    return complete


def action_example(envs: host.HostEnvs) -> jax.ShapeDtypeStruct:
    """One unbatched action."""
    return jax.ShapeDtypeStruct((envs.action_map.size,), jnp.float32)


class _Training:
    """The state of `train` while it runs."""

    def __init__(
        self, config: RunConfig, run: RunDirectory, envs: host.HostEnvs, observer: Observer
    ) -> None:
        self.config, self.directory, self.envs, self.observer = config, run, envs, observer
        self.mesh = mesh = seeds.mesh_for(config.seeds)
        self.carry: Any = None
        learn_step = functools.partial(
            loop.learn_step, batch_size=config.batch_size, over_seeds=seeds.over_seeds(mesh)
        )
        self.learn_step = seeds.compile_over_seeds(learn_step, mesh, num_shared=1, donate=(0,))
        self.schedule = loop.Schedule(config.learning_starts, config.updates_per_transition)
        self.policy = Policy(mesh)
        self.eval_envs = None
        if config.eval_every:
            copies = config.seeds * config.eval_episodes
            self.eval_envs = host.HostEnvs(make(config.env, copies), config.seeds)
        self.step = self.logged = 0
        self.saved: int | None = None
        self.action: jax.Array | None = None
        self.whole = True
        """Whether learners, environments and counters are all at the same step."""
        self.seconds = self.saving_seconds = 0.0
        self.episodes: list[host.Episode] = []
        self.train_returns: list[float | None] = [None] * config.seeds
        self.eval_returns: list[float | None] = [None] * config.seeds
        self.metrics_lengths = [0] * config.seeds

    def go_on(self) -> None:
        """Takes up the newest checkpoint that can be used, and says so in words.

        Raises:
          CheckpointError: there are checkpoints, and none can be used.
        """
        saved = checkpoint.steps(self.directory.checkpoints)
        if not saved:
            self.observer.message(
                f"{self.directory.path} was stopped before its first checkpoint: starting again."
            )
        for step in reversed(saved):
            try:
                return self._restore(step)
            except checkpoint.CheckpointError as error:
                if step == saved[0]:
                    raise
                self.observer.message(f"{error} Trying the checkpoint before it.")

    def run(self) -> bool:
        """Steps, logs, evaluates and saves until the last step or a request to stop.

        Returns:
          Whether the run reached its last step.
        """
        config = self.config
        metrics = MetricsWriter(self.directory.metrics, config.members, self.metrics_lengths)
        with metrics, Interrupt() as stop:
            if not metrics.complete:
                self.observer.message(
                    f"rows are missing in {self.directory.metrics}: they cannot be brought back."
                )
            self.observer.started(self.step, self.seconds)
            self.start_time = self.last_shown = time.monotonic() - self.seconds
            try:
                if self.action is None:
                    self.carry = init_carry(config, self.envs, self.mesh)
                    env_seeds = environment_seeds(
                        config.members, (TRAINING_STREAM,), config.num_envs
                    )
                    self._learn(self.envs.reset(env_seeds), before=0)
                while True:
                    if self.logged < self.step:
                        self._log_and_save(metrics)
                    if self.step >= config.steps or stop.requested:
                        break
                    self._advance()
                    self._show()
            finally:
                # An error from an environment finds everything whole: nothing is lost.
                if self.whole and self.action is not None and self.saved != self.step:
                    self._save(metrics)
                for envs in (self.envs, self.eval_envs):
                    if envs is not None:
                        envs.close()
        if self.saving_seconds:
            share = self.saving_seconds / (time.monotonic() - self.start_time - self.seconds)
            self.observer.message(
                f"checkpoints took {self.saving_seconds:.1f} s, {share:.1%} of the time."
            )
        return self.step >= config.steps

    def _advance(self) -> None:
        """One step of all environments, and the learning that is due after it."""
        before = self.step
        try:
            arrival, episodes = self.envs.step(np.asarray(self.action))
        except Exception as error:
            error.add_note(
                f"Raised by {self.config.env} after {self.step} transitions per seed. All until "
                "then is saved: mend the environment, and the same command goes on there."
            )
            raise
        self.whole = False
        self.episodes += episodes
        self.step += self.config.num_envs
        self._check_warm_up(before)
        self._learn(arrival, before)
        self.whole = True

    def _learn(self, arrival: host.Arrival, before: int) -> None:
        work = self.schedule.work(before, self.step)
        self.carry, self.action = self.learn_step(self.carry, *arrival, work)

    def _log_and_save(self, metrics: MetricsWriter) -> None:
        config = self.config
        evaluated = self._evaluate() if self._passed(config.eval_every) else None
        if evaluated is not None or self._passed(config.log_every):
            self._log(metrics, evaluated)
        self.logged = self.step
        if self._passed(config.checkpoint_every):
            self._save(metrics)

    def _passed(self, every: int) -> bool:
        """Whether a multiple of `every` was reached by the last step; the end of the run counts."""
        if not every:
            return False
        before = self.step - self.config.num_envs
        return self.step // every > before // every or self.step >= self.config.steps

    def _evaluate(self) -> Evaluation:
        assert self.eval_envs is not None
        act = self.policy.mode(self.carry.agent)
        return evaluate(self.eval_envs, act, self.config.members, self.step)

    def _log(self, metrics: MetricsWriter, evaluated: Evaluation | None) -> None:
        latest = jax.device_get(self.carry.metrics)
        seconds = time.monotonic() - self.start_time
        updates = self.schedule.updates_due(self.step)
        for index in range(self.config.seeds):
            row: dict[str, Any] = {"step": self.step, "updates": updates, "wall_time": seconds}
            ended = [e for e in self.episodes if e.seed_index == index]
            row["train_episodes"] = len(ended)
            if ended:
                self.train_returns[index] = float(np.mean([e.episode_return for e in ended]))
                row["train_return"] = self.train_returns[index]
                row["train_length"] = float(np.mean([e.length for e in ended]))
            if evaluated is not None:
                self.eval_returns[index] = float(np.mean(evaluated.returns[index]))
                row["eval_return"] = self.eval_returns[index]
                row["eval_return_std"] = float(np.std(evaluated.returns[index]))
                row["eval_length"] = float(np.mean(evaluated.lengths[index]))
            if updates:
                row["utd"] = updates / (self.step - self.config.learning_starts)
                row |= {name: float(getattr(latest, name)[index]) for name in latest._fields}
            row["skipped"] = int(latest.skipped[index])
            row["discarded"] = int(self.envs.discarded[index])
            metrics.write(index, row)
        self.episodes.clear()
        self.observer.progress(
            Progress(
                self.step,
                seconds,
                evaluated is not None,
                list(self.train_returns),
                list(self.eval_returns),
                int(latest.skipped.sum()),
                int(self.envs.discarded.sum()),
            )
        )

    def _show(self) -> None:
        now = time.monotonic()
        if now - self.last_shown > 0.2:
            self.observer.stepped(self.step)
            self.last_shown = now

    def _check_warm_up(self, before: int) -> None:
        """Refuses to learn from a replay that holds less than one batch."""
        if not before <= self.config.learning_starts < self.step:
            return
        stored = self.step - self.envs.discarded
        if (stored < self.config.batch_size).any():
            raise FloatingPointError(
                f"of its first {self.step} transitions a seed had {self.envs.discarded.max()} with "
                "a NaN or an infinity in observation, reward or action: too few are left for a "
                f"batch of {self.config.batch_size}. Mend the environment {self.config.env}."
            )

    def _save(self, metrics: MetricsWriter) -> None:
        assert self.action is not None
        start = time.monotonic()
        run = Snapshot(
            step=self.step,
            logged=self.logged,
            seconds=start - self.start_time,
            carry=self.carry,
            action=self.action,
            envs=self.envs.snapshot(),
            discarded=self.envs.discarded,
            episodes=self.episodes,
            train_returns=self.train_returns,
            eval_returns=self.eval_returns,
            metrics_lengths=metrics.lengths(),
        )
        snapshot.save(self.directory.checkpoints, self.config.members, run)
        self.saved = self.step
        self.saving_seconds += time.monotonic() - start

    def _restore(self, step: int) -> None:
        config, mesh = self.config, self.mesh
        action = jax.ShapeDtypeStruct(
            (config.seeds, config.num_envs, self.envs.action_map.size), jnp.float32
        )
        run, written_under = snapshot.load(
            self.directory.checkpoints, step, config.members,
            jax.eval_shape(functools.partial(init_carry, config, self.envs, mesh)), action,
            self.envs.snapshot_arrays(), seeds.sharding(mesh),
        )  # fmt: skip
        self.step = self.saved = run.step
        self.logged, self.seconds = run.logged, run.seconds
        self.carry, self.action, self.episodes = run.carry, run.action, run.episodes
        self.train_returns, self.eval_returns = run.train_returns, run.eval_returns
        self.metrics_lengths = run.metrics_lengths
        astray = self.envs.restore(run.envs, run.discarded)
        held = np.asarray(run.carry.buffer.size)
        self.observer.message(
            f"{self.directory.path} goes on at step {run.step:,}: learners, replay of "
            f"{held.min():,} transitions per seed, environments in mid-episode, metrics."
        )
        if astray:
            self.observer.message(
                f"{len(astray)} of {config.seeds * config.num_envs} environments do not depend on "
                "their seed and actions alone: their episodes start anew, and the run is not the "
                "one that it would have been."
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


def init_carry(config: RunConfig, envs: host.HostEnvs, mesh: jax.sharding.Mesh) -> loop.Carry:
    """The carry of all seeds before the first step, laid out over the mesh."""
    init = functools.partial(
        loop.init,
        observation=envs.observation_example,
        action=action_example(envs),
        capacity=config.replay_capacity,
        config=config.agent,
        hyperparameters=config.hyperparameters,
    )
    compiled = jax.jit(init, out_shardings=seeds.sharding(mesh))
    return compiled(jnp.asarray(config.members))
