# pyright: reportMissingImports=false
"""CleanRL: its `sac_continuous_action.py` from PyPI, brought to Gymnasium 1 while it is read."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

# What the script imports, so that it is counted as imports.
import gymnasium  # noqa: F401
import stable_baselines3  # noqa: F401
import torch  # noqa: F401
from meter import Meter
from peers import settings

SCRIPT = Path(sysconfig.get_path("purelib")) / "cleanrl" / "sac_continuous_action.py"

PATCHES = {
    # Gone from Python 3.12; used by no option given here.
    "from distutils.util import strtobool": "strtobool = bool",
    "import gym\n": "import gymnasium as gym\n",
    "        env.seed(seed)\n": "",
    "run_name)])\n": "run_name)], autoreset_mode=gym.vector.AutoresetMode.SAME_STEP)\n",
    "obs = envs.reset()": "obs, _ = envs.reset(seed=args.seed)",
    "rewards, dones, infos = envs.step(actions)": (
        "rewards, terminations, truncations, infos = envs.step(actions)\n"
        "        dones = terminations | truncations"
    ),
    'infos[idx]["terminal_observation"]': 'infos["final_obs"][idx]',
    "dones, infos)\n": 'dones, [{"TimeLimit.truncated": t} for t in truncations])\n',
    # Logging is off for everyone.
    "from torch.utils.tensorboard import SummaryWriter\n": "",
    "        for info in infos:\n": "        for info in ():\n",
    # The one addition: every finished iteration is counted.
    "in range(args.total_timesteps):": "in counted(range(args.total_timesteps)):",
}


def train(meter: Meter) -> None:
    """Runs the script as the main program."""

    def counted(steps: Iterable[int]) -> Iterator[int]:
        for step in steps:
            yield step
            if step > settings.LEARNING_STARTS:
                meter.add(1)

    options = {
        "env-id": settings.ENV,
        "total-timesteps": settings.FOREVER,
        "buffer-size": settings.REPLAY_CAPACITY,
        "learning-starts": settings.LEARNING_STARTS,
        "batch-size": settings.BATCH_SIZE,
        "policy-lr": settings.LEARNING_RATE,
        "q-lr": settings.LEARNING_RATE,
        "gamma": settings.GAMMA,
    }
    sys.argv = [SCRIPT.name, *(f"--{name}={value}" for name, value in options.items())]
    program = compile(_patched(SCRIPT.read_text()), SCRIPT.name, "exec")
    names = {"__name__": "__main__", "__file__": SCRIPT.name}
    exec(program, names | {"counted": counted, "SummaryWriter": _NoWriter})


def _patched(source: str) -> str:
    for old, new in PATCHES.items():
        if source.count(old) != 1:
            raise ValueError(f"the script holds {old!r} {source.count(old)} times, expected once")
        source = source.replace(old, new)
    return source


class _NoWriter:
    """Takes the place of TensorBoard's writer."""

    def __init__(self, directory: str) -> None:
        pass

    def add_text(self, *values: Any) -> None:
        pass

    def add_scalar(self, *values: Any) -> None:
        pass


WORKLOADS = {"train": train}
