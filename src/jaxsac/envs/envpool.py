"""MuJoCo's robots in EnvPool, which steps all copies in the threads of one pool in C++.

The generator that a copy's start states are drawn from can be neither read nor set. But nothing
else is drawn from it, so the number of resets says where it is, and that is what a log keeps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import gymnasium
import numpy as np
from gymnasium.wrappers import TimeLimit

from jaxsac.envs import refusals
from jaxsac.envs.action_log import ActionLog
from jaxsac.envs.checked import CheckedEnv, at
from jaxsac.envs.copies.group import Followed, Restarted, Stepped
from jaxsac.envs.options import EnvOptions
from jaxsac.envs.spaces import observation_example

T = TypeVar("T")

FAMILY = "envpool:"
TASKS = (
    "HalfCheetah-v4", "HalfCheetah-v5", "Hopper-v4", "Hopper-v5", "Walker2d-v4", "Walker2d-v5",
)  # fmt: skip
"""Those that step as Gymnasium's do; EnvPool has a MuJoCo of its own, in which Ant does not."""
SEEDS = 2**31 - 1
"""How many seeds EnvPool tells apart, fewer than the numbers that copies are given."""


def maker(env_id: str) -> Callable[..., gymnasium.Env]:
    """What makes one copy by itself, which a run looks at before it begins.

    Args:
      env_id: `envpool:HalfCheetah-v4`, say.

    Raises:
      ValueError: there is no such environment here.
      ModuleNotFoundError: EnvPool is not installed; names the command that installs it.
    """
    name = _task(env_id)

    def make(**kwargs: Any) -> gymnasium.Env:
        env = Alone(functools.partial(_pool, name, num_threads=1, **kwargs))
        return TimeLimit(env, env.time_limit)

    return make


class PoolGroup:
    """A `Group` whose copies are one pool."""

    def __init__(
        self,
        env_id: str,
        names: Sequence[str],
        threads: int,
        timeout: float,
        options: EnvOptions,
        make_one: Callable[[], CheckedEnv],
    ) -> None:
        """Makes the copies.

        Args:
          env_id: as for `maker`.
          names: what each copy is called.
          threads: of the pool; 0: one for each copy or core, whichever are fewer.
          timeout: seconds that a reset or a step of all may take; 0 for no limit.
          options: how they are made.
          make_one: makes one copy by itself, for `ask_first`.

        Raises:
          ValueError: a wrapper, or arguments that EnvPool does not take.
          ModuleNotFoundError: EnvPool is not installed.
        """
        name = _task(env_id)
        if options.wrappers:
            raise ValueError(
                f"{env_id} steps all copies in one pool, around which no wrapper goes: leave out "
                f"{options.wrappers[0]!r}, or train in {name}."
            )
        self._first = make_one()
        self._make = functools.partial(_pool, name, num_threads=threads, **options.kwargs)
        self._where = f"{env_id}, {names[0]} to {names[-1]}"
        self._count, self._timeout = len(names), timeout
        self.observation_space = self._first.observation_space
        self.action_space = self._first.action_space
        self._dtype = observation_example(self.observation_space).dtype

    def __len__(self) -> int:
        return self._count

    def ask_first(self, question: Callable[..., T], *arguments: Any) -> T:
        """As `Group.ask_first`, of a copy that does not train."""
        return question(self._first, *arguments)

    def reset(self, seeds: Sequence[int]) -> np.ndarray:
        """As `Group.reset`."""
        with at(f"a reset of {self._where}", self._timeout):
            self._pool = self._make([seed % SEEDS for seed in seeds])
            self._resets = np.zeros(self._count, int)
            return self._start(np.arange(self._count))

    def restart(self, indices: Sequence[int]) -> Restarted:
        """As `Group.restart`; `indices` ascend."""
        with at(f"a reset of {self._where}", self._timeout):
            generators: list[Any] = [{"resets": int(self._resets[i])} for i in indices]
            return Restarted(self._start(np.asarray(indices)), generators)

    def step(self, actions: np.ndarray) -> Stepped:
        """As `Group.step`."""
        with at(f"a step of {self._where}", self._timeout):
            observation, reward, terminated, truncated, _ = self._pool.step(actions)
            return Stepped(
                observation.astype(self._dtype), reward.astype(np.float32), terminated, truncated
            )

    def follow(self, logs: Sequence[ActionLog], actions: Sequence[np.ndarray]) -> Followed:
        """As `Group.follow`; the resets before the running episodes are made again."""
        observation = self.reset([log.seed for log in logs])
        more = [log.generator["resets"] if log.generator else 0 for log in logs]
        ends = [len(own) for own in actions]
        lengths, returns = np.zeros(self._count, np.int64), np.zeros(self._count)
        with at(f"bringing back {self._where}", 0):
            for number in range(max(more)):
                rows = np.flatnonzero(np.array(more) > number)
                observation[rows] = self._start(rows)
            over = np.zeros(self._count, bool)
            for number in range(max(ends)):
                rows = np.flatnonzero((np.array(ends) > number) & ~over)
                if not rows.size:
                    break
                taken = np.stack([actions[i][number] for i in rows.tolist()])
                seen, reward, terminated, truncated = _in_order(
                    self._pool.step(taken, rows.astype(np.int32))
                )
                observation[rows] = seen
                returns[rows] += reward.astype(np.float32)
                lengths[rows] += 1
                over[rows] = terminated | truncated
        return Followed(observation, returns, lengths)

    def close(self) -> None:
        """Closes the copy that does not train; a pool ends by itself."""
        self._first.close()

    def _start(self, rows: np.ndarray) -> np.ndarray:
        """Starts the next episode of some copies, which ascend; their first observations."""
        self._resets[rows] += 1
        (observation,) = _in_order(self._pool.reset(rows.astype(np.int32)))
        return observation.astype(self._dtype)


class Alone(gymnasium.Env):
    """A copy in a pool of its own, as an environment of Gymnasium."""

    def __init__(self, make: Callable[[list[int]], Any]) -> None:
        """Makes it; `make` is told its seed."""
        self._make = make
        self._pool = make([0])
        self.observation_space = self._pool.observation_space
        self.action_space = self._pool.action_space
        self.time_limit: int = self._pool.config["max_episode_steps"]
        self._np_random: Any = Resets(self._start)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """As Gymnasium's."""
        if seed is not None:
            self._pool = self._make([seed % SEEDS])
            self._np_random = Resets(self._start)
        return self._np_random.draw(), {}

    def step(self, action: Any) -> Any:
        """As Gymnasium's."""
        observation, reward, terminated, truncated, _ = self._pool.step(np.asarray(action)[None])
        return observation[0], float(reward[0]), terminated[0], truncated[0], {}

    def _start(self) -> np.ndarray:
        return self._pool.reset()[0][0]


class Resets:
    """Stands for the generator of a copy; `action_log` reads and sets its state."""

    def __init__(self, draw: Callable[[], np.ndarray]) -> None:
        """Nothing has been drawn yet by `draw`, which resets the copy."""
        self._draw, self._count = draw, 0
        self.bit_generator = self

    def draw(self) -> np.ndarray:
        """Resets the copy; its first observation."""
        self._count += 1
        return self._draw()

    @property
    def state(self) -> dict[str, int]:
        """How many resets there have been."""
        return {"resets": self._count}

    @state.setter
    def state(self, state: dict[str, int]) -> None:
        while self._count < state["resets"]:
            self.draw()


def _task(env_id: str) -> str:
    name = env_id.removeprefix(FAMILY)
    refusals.check_name(FAMILY, name, TASKS)
    try:
        import envpool  # noqa: F401 # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        remedy = "run `pip install 'jaxsac[envpool]'`"
        raise refusals.not_installed(env_id, error, remedy) from error
    return name


def _pool(name: str, seeds: list[int], *, num_threads: int, **kwargs: Any) -> Any:
    import envpool  # pyright: ignore[reportMissingImports]

    return envpool.make(  # pyright: ignore[reportAttributeAccessIssue]
        name, env_type="gymnasium", num_envs=len(seeds), env_seed=seeds, num_threads=num_threads,
        **kwargs,
    )  # fmt: skip


def _in_order(result: tuple[Any, ...]) -> list[np.ndarray]:
    """What a reset or a step of some copies returned, but for its info, in ascending order."""
    *values, info = result
    order = np.argsort(info["env_id"])
    return [value[order] for value in values]
