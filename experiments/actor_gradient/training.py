"""The training runs of the study: one for each estimator, with agents kept along the way."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import jax
from rich.console import Console

import jaxsac
from jaxsac.data import replay
from jaxsac.runs import train as runner
from jaxsac.runs.checkpoints import bundle, checkpoint, snapshot
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.display.display import Display
from jaxsac.runs.display.observer import Progress
from jaxsac.runs.settings.config import RunConfig
from jaxsac.training import seed_axis
from jaxsac.training.driver import learning_structs
from jaxsac.training.drivers import make_driver
from jaxsac.types import PyTree

VARIANTS = {
    "total": jaxsac.Config(),
    "path": jaxsac.Config(actor_gradient="path"),
    "samples4": jaxsac.Config(actor_samples=4),
    "score": jaxsac.Config(actor_gradient="score"),
}
"""What is trained: the default, and three changes of it."""


@dataclasses.dataclass(frozen=True)
class Study:
    """Estimators of the actor's gradient compared in one environment."""

    env: str = "Pendulum-v1"
    """Gymnasium id, or module:EnvId."""
    steps: int = 20_000
    """Environment transitions per seed."""
    seeds: int = 4
    """Number of seeds of every variant."""
    seed: int = 0
    """The first of them; a second group adds to the results of the first."""
    learning_starts: int = 1_000
    """Transitions by uniformly random actions before the first update, per seed."""
    every: int = 250
    """Transitions until the first measurement; the later ones follow at twice the distance each.
    Divides learning_starts."""
    variants: tuple[str, ...] = tuple(VARIANTS)
    """Which estimators to train: total, path, samples4, score; the others are measured at states
    that total visited."""
    runs: Path = Path("runs/actor_gradient")
    """Where the run directories lie; a run that was stopped resumes."""

    def __post_init__(self) -> None:
        if not set(self.variants) <= set(VARIANTS):
            raise ValueError(f"variants must be of {tuple(VARIANTS)}, got {self.variants}.")
        if self.every < 1 or self.learning_starts % self.every:
            raise ValueError(f"every {self.every} must divide learning_starts.")

    @property
    def times(self) -> list[int]:
        """Transitions at which agents are kept: the start of learning, then ever more apart."""
        doubling = [self.learning_starts + self.every * 2**k for k in range(40)]
        return [self.learning_starts, *(t for t in doubling if t < self.steps), self.steps]

    def config(self, variant: str) -> RunConfig:
        """The run of one variant: defaults but for the estimator."""
        return RunConfig(
            self.env,
            seeds=self.seeds,
            seed=self.seed,
            steps=self.steps,
            learning_starts=self.learning_starts,
            replay_capacity=self.steps,
            eval_every=self.steps // 20,
            log_every=self.every,
            checkpoint_every=self.every,
            agent=VARIANTS[variant],
        )

    def directory(self, variant: str) -> Path:
        """Where that run lies."""
        return self.runs / self.place(variant)

    def place(self, variant: str) -> Path:
        """The part of a path that tells the runs of all studies apart."""
        env = self.env.replace(":", "-").replace("/", "-")
        return Path(env) / variant / f"seed-{self.seed:04d}"

    def train(self, variant: str) -> None:
        """Trains a variant, or resumes where it was; SIGINT and SIGTERM end the program."""
        directory, config = self.directory(variant), self.config(variant)
        with _KeepAgents(config, directory, self.times) as display:
            display.message(f"{self.env}: {variant}, in {directory}")
            if not runner.train(config, directory, display):
                raise SystemExit(130)
            display.keep()


class _KeepAgents(Display):
    """A display that copies the agents of some checkpoints to `agents/<step>/` of the run.

    It is told of a step before the checkpoint of that step is written, so it copies at the next
    one; a run that resumes starts with the copy that a kill may have prevented.
    """

    def __init__(self, config: RunConfig, directory: Path, times: list[int]) -> None:
        super().__init__(config, Console())
        self._directory, self._times = directory, times

    def __enter__(self) -> _KeepAgents:
        super().__enter__()
        return self

    def started(self, step: int, seconds: float) -> None:
        super().started(step, seconds)
        self.keep()

    def progress(self, progress: Progress) -> None:
        super().progress(progress)
        self.keep()

    def keep(self) -> None:
        """Copies what is there and wanted."""
        saved = self._directory / "checkpoints"
        for step in set(checkpoint.steps(saved)) & set(self._times):
            target = self._directory / "agents" / str(step)
            if target.exists():
                continue
            unfinished = target.with_suffix(".tmp")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            for name in ("agent.safetensors", "manifest.json"):
                shutil.copy(checkpoint.folder(saved, step) / name, unfinished)
            unfinished.rename(target)


def agents(directory: Path, step: int) -> jaxsac.State:
    """The agents that a run had at `step`, leading axis S."""
    config = RunDirectory(directory).config()
    driver = make_driver(config.to_population(), seed_axis.axis(config.population))
    driver.close()
    structs = learning_structs(config.to_population(), driver.observation, driver.action).agent
    return bundle.load(directory / "agents" / str(step), "agent", structs)


def visited_states(directory: Path, count: int) -> PyTree:
    """`count` observations out of the replay of a finished run, as many of every seed."""
    config = RunDirectory(directory).config()
    axis = seed_axis.axis(config.population)
    driver = make_driver(config.to_population(), axis)
    structs = learning_structs(config.to_population(), driver.observation, driver.action)
    checkpoints = RunDirectory(directory).checkpoints
    snapshot.load(checkpoints, config.steps, config.member_names, driver, structs, axis)
    driver.close()
    keys = jax.random.split(jax.random.key(0), config.seeds)
    batches = jax.vmap(replay.sample, (0, 0, None))(
        driver.learning.buffer, keys, count // config.seeds
    )
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batches.observation)
