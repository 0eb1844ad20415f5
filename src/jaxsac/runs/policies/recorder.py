"""Videos during training: an episode of the first seed's policy each so many steps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import jax

from jaxsac.envs import host
from jaxsac.runs.directory.spaces import Spaces
from jaxsac.runs.policies import drawn, video
from jaxsac.runs.policies.drawn import Member
from jaxsac.runs.policies.load import Policy
from jaxsac.runs.settings.config import RunConfig
from jaxsac.training.driver import Driver
from jaxsac.training.population import EVALUATION_STREAM
from jaxsac.training.seed_axis import SeedAxis


class Recorder:
    """Draws in an environment of its own; without `record_every` there is none.

    The episode is the first one of the evaluation at that step, as `play` shows it.
    """

    def __init__(self, config: RunConfig, directory: Path, tell: Callable[[str], None]) -> None:
        """Makes the environment, and draws it once.

        Args:
          config: the run.
          directory: of the videos, made with the first one.
          tell: says a sentence to whoever watches.

        Raises:
          ValueError: it cannot be drawn.
          ModuleNotFoundError: a package is not installed that writes videos.
        """
        self._config, self._directory, self._tell = config, directory, tell
        self._env: gymnasium.Env | None = None
        if config.record_every:
            self._env = _drawable(config)

    def record(self, driver: Driver, axis: SeedAxis) -> None:
        """Writes a video; one that fails is the last, and costs nothing else.

        Args:
          driver: between two steps.
          axis: how the learners are laid out.
        """
        if self._env is None:
            return
        seed = self._config.seed
        member = Member(seed, 0 if len(self._config.points) > 1 else None)
        (start,) = host.environment_seeds(seed, (EVALUATION_STREAM, driver.step), 1)
        path = self._directory / f"step-{driver.step:010d}-{member.name}.mp4"
        try:
            drawn.episode(self._env, self._policy(driver, axis), member, start, path)
        except Exception as error:
            why = str(error).rstrip(".") or repr(error)
            self._tell(f"no more videos are recorded: {why}. The run goes on.")
            self.close()

    def _policy(self, driver: Driver, axis: SeedAxis) -> Policy:
        learned: Any = driver.learning.policy
        rows = axis.take(jax.device_get(learned._replace(agent=learned.agent.acting)))
        spaces = Spaces(driver.observation, driver.action, driver.action_map)
        first = jax.tree.map(lambda leaf: leaf[0], rows)
        return Policy(first, spaces, driver.step, self._config.to_json())

    def close(self) -> None:
        """Closes the environment."""
        env, self._env = self._env, None
        if env is not None:
            with contextlib.suppress(Exception):  # what it was there for is done
                env.close()


def _drawable(config: RunConfig) -> gymnasium.Env:
    video.check_ending(Path("any.mp4"))
    video.draw_without_a_screen()
    try:
        env = drawn.make(config, "rgb_array")
        with contextlib.ExitStack() as refused:
            refused.callback(env.close)
            env.reset(seed=0)
            drawn.frame(env)
            refused.pop_all()
    except ValueError as error:
        raise ValueError(f"record_every {config.record_every}: {error}") from error
    return env
