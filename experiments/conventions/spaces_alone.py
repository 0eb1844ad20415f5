# pyright: reportMissingImports=false
"""An environment that is never stepped, for libraries that read their spaces from one."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np


class SpacesAlone(gymnasium.Env):
    def __init__(self, observation_size: int = 4, action_size: int = 2) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (observation_size,))
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (action_size,))

    def reset(self, **_: Any) -> Any:
        raise NotImplementedError

    def step(self, action: Any) -> Any:
        raise NotImplementedError
