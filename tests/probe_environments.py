"""Small environments with known answers, registered as `probe_environments:<id>`."""

import os
import signal
import time

import gymnasium
import numpy as np
from gymnasium import spaces

LIMIT = 5


class TwoState(gymnasium.Env):
    """The start pays 0 and leads to a state that pays 1 for ever, or until the fifth step."""

    def __init__(self, terminates=False):
        self.observation_space = spaces.Box(0, 1, (2,))
        self.action_space = spaces.Box(-1, 1, (1,))
        self.terminates = terminates

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.array([1, 0], np.float32), {}

    def step(self, action):
        reward = float(self.steps > 0)
        self.steps += 1
        terminated = self.terminates and self.steps == LIMIT
        return np.array([0, 1], np.float32), reward, terminated, False, {}


class Aim(gymnasium.Env):
    """One step: it pays 1 - (u - TARGET)², u being the action in units of [-1, 1]."""

    TARGET = 0.5

    def __init__(self):
        self.observation_space = spaces.Box(-1, 1, (1,))
        self.action_space = spaces.Box(-2, 6, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._observation(), {}

    def step(self, action):
        unit = (float(action[0]) - 2) / 4
        return self._observation(), 1 - (unit - self.TARGET) ** 2, True, False, {}

    def _observation(self):
        return self.np_random.uniform(-1, 1, 1).astype(np.float32)


class Drift(gymnasium.Env):
    """x' = 0.9 x + 0.1 u in two dimensions, u being the action in units of [-1, 1].

    It pays 1e30 where x is less than `jackpot` in its first dimension. With `grid` the unit action
    is rounded to multiples of 1 / grid, so that it does not depend on the bounds it came through.
    `event` happens in step number `at` of an environment's life.
    """

    def __init__(self, low=-1.0, high=1.0, grid=None, event=None, at=0, jackpot=0):
        self.observation_space = spaces.Box(-10, 10, (2,), np.float64)
        self.action_space = spaces.Box(low, high, (2,))
        self.low, self.high, self.grid = low, high, grid
        self.event, self.at, self.life, self.jackpot = event, at, 0, jackpot

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.position = self.np_random.uniform(-1, 1, 2)
        return self.position.copy(), {}

    def step(self, action):
        self.life += 1
        if self.life == self.at:
            self._happen()
        unit = (action.astype(np.float64) - (self.low + self.high) / 2) / (self.high - self.low) * 2
        if self.grid:
            unit = np.round(unit * self.grid) / self.grid
        self.position = 0.9 * self.position + 0.1 * unit
        hit = abs(self.position[0]) < self.jackpot
        reward = 1e30 if hit else -float(self.position @ self.position)
        return self.position.copy(), reward, False, False, {}

    def _happen(self):
        if self.event == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
        elif self.event == "raise":
            raise RuntimeError("the simulator broke")
        elif self.event == "hang":
            time.sleep(60)
        elif isinstance(self.event, signal.Signals) and first_time():
            os.kill(os.getpid(), self.event)


class Drawn(Drift):
    """Draws its step as a bar, in a picture of 8 by 16; `render_fault` is what it does instead."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012

    def __init__(self, render_mode=None, render_fault=None):
        super().__init__(low=-1.0, high=3.0)
        self.render_mode, self.render_fault = render_mode, render_fault

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return super().reset(seed=seed)

    def step(self, action):
        self.steps += 1
        return super().step(action)

    def render(self):
        if self.render_fault == "raise" and self.steps == 3:
            raise RuntimeError("no screen")
        picture = np.zeros((8, 16, 3), np.uint8)
        picture[:, : self.steps] = 255
        return None if self.render_fault == "nothing" else picture


def first_time():
    """Whether the file that $HAPPENED names was not there before: true for one process alone."""
    try:
        os.close(os.open(os.environ["HAPPENED"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


class Scripted(gymnasium.Env):
    """Nested observations of several dtypes; an episode ends at random, or by a time limit."""

    def __init__(self):
        self.observation_space = spaces.Dict(
            {
                "position": spaces.Box(-np.inf, np.inf, (2,), np.float64),
                "image": spaces.Box(0, 255, (2, 2, 1), np.uint8),
                "parts": spaces.Tuple([spaces.Box(-np.inf, np.inf, (1,)), spaces.MultiBinary(3)]),
            }
        )
        self.action_space = spaces.Box(-1, 1, (2,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.position = self.np_random.normal(size=2)
        return self._observation(), {}

    def step(self, action):
        self.position = self.position + action + self.np_random.normal(size=2)
        terminated = bool(self.np_random.random() < 0.15)
        return self._observation(), float(self.position.sum()), terminated, False, {}

    def _observation(self):
        return {
            "position": self.position.copy(),
            "image": np.full((2, 2, 1), abs(self.position[0]) * 50 % 256, np.uint8),
            "parts": (self.position[:1].astype(np.float32), (self.position[1] > [-1, 0, 1]) * 1),
        }


class Faulty(gymnasium.Env):
    """Observes (episode, step), pays the step's number, ends at step 6, and is faulty once.

    The fault is `value` in the reward or observation of step number `step` (0: the reset) of the
    episode numbered `episode`; of every episode when that is None.
    """

    LENGTH = 6

    def __init__(self, where, value=np.nan, episode=1, step=3):
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,))
        self.action_space = spaces.Box(-1, 1, (1,))
        self.where, self.value, self.at = where, value, (episode, step)
        self.episode = -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.steps = self.episode + 1, 0
        return self._observation(), {}

    def step(self, action):
        self.steps += 1
        reward = self.value if self._is_faulty("reward") else float(self.steps)
        return self._observation(), reward, self.steps == self.LENGTH, False, {}

    def _observation(self):
        faulty = self._is_faulty("observation")
        return np.array([self.episode, self.value if faulty else self.steps], np.float32)

    def _is_faulty(self, where):
        episode, step = self.at
        return self.where == where and step == self.steps and episode in (None, self.episode)


class Touching(Faulty):
    """Its infos hold any number of contacts, not the same in two copies."""

    def __init__(self):
        super().__init__("nowhere")

    def reset(self, *, seed=None, options=None):
        observation, _ = super().reset(seed=seed)
        return observation, {"contacts": self._contacts()}

    def step(self, action):
        observation, reward, terminated, truncated, _ = super().step(action)
        return observation, reward, terminated, truncated, {"contacts": self._contacts()}

    def _contacts(self):
        return np.zeros((self.np_random.integers(9), 3))


def unmade():
    raise ValueError("shapes do not match")


def register(name, kind, max_episode_steps=None, **arguments):
    gymnasium.register(
        f"{name}-v0",
        kind,
        kwargs=arguments,
        max_episode_steps=max_episode_steps,
        disable_env_checker=True,
    )


register("TwoStateLimit", TwoState, LIMIT)
register("TwoStateEnd", TwoState, terminates=True)
register("Aim", Aim)
register("Drift", Drift, 10)
register("Endless", Drift)
register("DriftTimesFour", Drift, 10, low=-4.0, high=4.0)
register("DriftOnGrid", Drift, 10, grid=64)
register("DriftOnGridAsymmetric", Drift, 10, low=-1.0, high=7.0 / 3, grid=64)
register("Interrupted", Drift, 10, event="interrupt", at=30)
register("Broken", Drift, 10, event="raise", at=30)
register("Hanging", Drift, 10, event="hang", at=30)
register("KilledOnce", Drift, 10, event=signal.SIGKILL, at=45)
register("AnnouncedOnce", Drift, 10, event=signal.SIGUSR2, at=45)
register("Huge", Drift, 10, jackpot=0.1)
register("Drawn", Drawn, 10)
register("Scripted", Scripted, 7)
register("AllFaulty", Faulty, where="reward", episode=None, step=1)
register("OftenFaulty", Faulty, where="observation", value=np.inf, episode=None, step=3)
register("Touching", Touching)
register("Unmade", unmade)
