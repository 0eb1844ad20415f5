"""A simulator that only takes its time, as one that runs elsewhere does."""

import time

import gymnasium
import numpy as np


class Sleeping(gymnasium.Env):
    """Waits `seconds` in each step."""

    def __init__(self, seconds: float = 0.02) -> None:
        self.observation_space = gymnasium.spaces.Box(-1, 1, (17,), np.float64)
        self.action_space = gymnasium.spaces.Box(-1, 1, (6,))
        self._seconds = seconds

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        """Draws an observation."""
        super().reset(seed=seed)
        return self.np_random.uniform(-1, 1, 17), {}

    def step(self, action: np.ndarray) -> tuple:
        """Draws an observation, later."""
        if self._seconds:
            time.sleep(self._seconds)
        return self.np_random.uniform(-1, 1, 17), 0.0, False, False, {}
