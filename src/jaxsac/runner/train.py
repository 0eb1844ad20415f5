"""A training run: environments on the host, learning on the device, everything written down."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxsac.envs import host
from jaxsac.runner import checkpoint, loop, memory, seeds
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
from jaxsac.runner.run_directory import RunDirectory
from jaxsac.sac.checks import check_hyperparameters
from jaxsac.types import transition_of


class Progress(NamedTuple):
    """How far a run is, at a row of the metrics."""

    step: int
    """Transitions per seed."""
    seconds: float
    """Since the first environment step."""
    evaluated: bool
    """Whether `eval_returns` is of this step."""
    train_returns: list[float | None]
    """By seed: mean of the latest training episodes (sampled policy)."""
    eval_returns: list[float | None]
    """By seed: mean of the latest evaluation (deterministic policy)."""
    skipped: int
    """Updates left out, all seeds."""
    discarded: int
    """Environment steps left out, all seeds."""


class Observer(Protocol):
    """What a display of a run has to offer."""

    def message(self, text: str) -> None:
        """Says something once."""

    def stepped(self, step: int) -> None:
        """Is told the transitions per seed so far, a few times a second."""

    def progress(self, progress: Progress) -> None:
        """Is told of every row of the metrics."""


def train(config: RunConfig, directory: Path, observer: Observer) -> bool:
    """Trains `config.seeds` independent seeds and leaves a run directory.

    SIGINT (Ctrl-C) and SIGTERM end the run after the current step, with the policies saved; a
    second one ends it at once.

    Args:
      config: the run.
      directory: where it is written; created if need be.
      observer: told about the start, every row of the metrics, and the end.

    Returns:
      Whether the run is complete; False when it was stopped before its last step.

    Raises:
      ValueError: an environment or value that cannot be trained on; nothing is written then.
      MemoryError: replay does not fit; names the capacity that would.
      RunDirectoryError: the directory belongs to another run.
      FloatingPointError: the environment's warm-up is mostly not finite.
    """
    run = RunDirectory(directory)
    if run.is_finished(config):
        observer.message(f"{directory} holds this run, complete: nothing to do.")
        return True
    host.redirect_mujoco_warnings()
    seeds.configure_host_devices(config.seeds)
    envs = host.HostEnvs(host.make(config.env, config.seeds * config.num_envs), config.seeds)
    check_hyperparameters(config.hyperparameters, envs.action_map.size)
    transition = transition_of(envs.observation_example, action_example(envs))
    plan = memory.plan_replay(config, transition)
    observer.message(plan.describe())
    run.create(config)
    complete = _Training(config, run, envs, observer).run()
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
        mesh = seeds.mesh_for(config.seeds)
        self.carry = init_carry(config, envs, mesh)
        learn_step = functools.partial(
            loop.learn_step, batch_size=config.batch_size, over_seeds=seeds.over_seeds(mesh)
        )
        self.learn_step = seeds.compile_over_seeds(learn_step, mesh, num_shared=1, donate=(0,))
        self.schedule = loop.Schedule(config.learning_starts, config.updates_per_transition)
        self.policy = Policy(mesh)
        self.eval_envs = None
        if config.eval_every:
            copies = config.seeds * config.eval_episodes
            self.eval_envs = host.HostEnvs(host.make(config.env, copies), config.seeds)
        self.step = 0
        self.episodes: list[host.Episode] = []
        self.train_returns: list[float | None] = [None] * config.seeds
        self.eval_returns: list[float | None] = [None] * config.seeds

    def run(self) -> bool:
        """Steps, logs and evaluates; saves at the end and when it is stopped.

        Returns:
          Whether the run reached its last step.
        """
        config = self.config
        with MetricsWriter(self.directory.metrics, config.members) as metrics, Interrupt() as stop:
            self.start_time = self.last_shown = time.monotonic()
            env_seeds = environment_seeds(config.members, (TRAINING_STREAM,), config.num_envs)
            arrival, before = self.envs.reset(env_seeds), 0
            try:
                while True:
                    work = self.schedule.work(before, self.step)
                    self.carry, action = self.learn_step(self.carry, *arrival, work)
                    evaluated = (
                        self._evaluate() if self._passed(before, config.eval_every) else None
                    )
                    if evaluated is not None or self._passed(before, config.log_every):
                        self._log(metrics, evaluated)
                    if self.step >= config.steps or stop.requested:
                        break
                    before = self.step
                    arrival, episodes = self.envs.step(np.asarray(action))
                    self.episodes += episodes
                    self.step += config.num_envs
                    self._check_warm_up(before)
                    self._show()
            finally:
                # An error from an environment finds the learners whole: nothing is lost.
                if not any(leaf.is_deleted() for leaf in jax.tree.leaves(self.carry)):
                    self._save()
                for envs in (self.envs, self.eval_envs):
                    if envs is not None:
                        envs.close()
        return self.step >= config.steps

    def _passed(self, before: int, every: int) -> bool:
        """Whether a multiple of `every` was reached since `before`; the last step counts."""
        if not every or self.step == before:
            return False
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

    def _save(self) -> None:
        agent = jax.device_get(self.carry.agent)
        facts = {"members": self.config.members}
        checkpoint.save(self.directory.checkpoints, self.step, agent, facts)


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


def evaluate_run(
    directory: Path, step: int | None, episodes: int
) -> tuple[int, RunConfig, Evaluation, Evaluation]:
    """Evaluates the policies that a run saved, as a run itself does.

    Args:
      directory: a run directory.
      step: which checkpoint; the latest by default.
      episodes: per seed.

    Returns:
      The checkpoint's step, the run's configuration, and the evaluations of the deterministic and
      of the sampled policy. The former starts from the same states as the run's own evaluation at
      that step.

    Raises:
      RunDirectoryError, CheckpointError: there is no such run or checkpoint, or it is damaged.
      ValueError: episodes below 1.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, got {episodes}.")
    run = RunDirectory(directory)
    config = run.config()
    step = checkpoint.latest(run.checkpoints) if step is None else step
    host.redirect_mujoco_warnings()
    seeds.configure_host_devices(config.seeds)
    envs = host.HostEnvs(host.make(config.env, config.seeds * episodes), config.seeds)
    mesh = seeds.mesh_for(config.seeds)
    template = jax.eval_shape(functools.partial(init_carry, config, envs, mesh)).agent
    agent = checkpoint.load(run.checkpoints, step, template)
    agent = jax.device_put(agent, seeds.sharding(mesh))
    policy, members = Policy(mesh), config.members
    deterministic = evaluate(envs, policy.mode(agent), members, step)
    sampled = evaluate(envs, policy.sampled(agent, members), members, step)
    envs.close()
    return step, config, deterministic, sampled
