"""Episodes that are drawn, step by step, as videos or in a window."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from jaxsac.data.frame_stack import FrameStack
from jaxsac.envs import envpool, registry
from jaxsac.envs.copies import mujoco_warnings
from jaxsac.envs.fitness import time_limit
from jaxsac.envs.in_jax import families
from jaxsac.runs.policies.load import Policy
from jaxsac.runs.policies.video import Video
from jaxsac.runs.settings.config import RunConfig

FPS = 30
"""Where an environment does not say how many frames a second has."""


class Member(NamedTuple):
    """One member of a run."""

    seed: int
    point: int | None
    """Of a sweep, if the run is one."""

    @property
    def name(self) -> str:
        """In the name of a file."""
        return f"point-{self.point}-" * (self.point is not None) + f"seed-{self.seed}"


class Played(NamedTuple):
    """One episode of the deterministic policy."""

    member: Member
    step: int
    """Transitions of training after which the policy was saved."""
    episode_return: float
    length: int
    """Steps."""
    path: Path | None
    """Of the video; None where it was shown in a window."""


def make(config: RunConfig, render_mode: str) -> gymnasium.Env:
    """The run's environment, which draws itself.

    Raises:
      ValueError: it cannot.
    """
    try:
        mujoco_warnings.redirect()
    except Exception as error:  # its import fails where MUJOCO_GL names what is not there
        raise _undrawn(error, "mujoco") from error
    options = config.to_population().env_options
    if families.make_in_jax(config.env, options) is not None:
        raise ValueError(
            f"{config.env} is an environment in JAX, which draws no pictures: there is nothing to "
            "see, unless --env names one of Gymnasium's with the same observations and actions, "
            "such as Pendulum-v1 for jaxsac:Pendulum-v1."
        )
    if config.env.startswith(envpool.FAMILY):
        raise ValueError(
            f"{config.env} draws no pictures: there is nothing to see, unless --env names the same "
            f"robot of Gymnasium, {config.env.removeprefix(envpool.FAMILY)}."
        )
    drawn = dataclasses.replace(options, kwargs={**options.kwargs, "render_mode": render_mode})
    try:
        (env,) = registry.make(config.env, 1, timeout=config.env_timeout, options=drawn)
    except ValueError as error:
        if "render_mode" not in str(error):
            raise
        raise ValueError(
            f"{config.env} cannot be drawn, as what makes it takes no argument render_mode: give "
            "it one that it passes on to the environment."
        ) from error
    _follow(env.unwrapped)
    return env


def _follow(env: Any) -> None:
    """Has MuJoCo look through the model's camera `track`, where there is one and no other is named.

    Gymnasium's stands still, and what runs is out of the picture after a second.
    """
    if not hasattr(env, "mujoco_renderer") or (env.camera_id, env.camera_name) != (None, None):
        return
    import mujoco

    kind = mujoco.mjtObj.mjOBJ_CAMERA  # pyright: ignore[reportAttributeAccessIssue]
    found = mujoco.mj_name2id(env.model, kind, "track")  # pyright: ignore[reportAttributeAccessIssue]
    env.mujoco_renderer.camera_id = found


def episode(
    env: gymnasium.Env, policy: Policy, member: Member, start: int, path: Path | None
) -> Played:
    """One episode, whose video gets its return into its name.

    Where no time limit is declared it ends at the latest after `time_limit.LONGEST_EPISODE` steps.

    Raises:
      ValueError: the environment cannot be drawn, or an action is not finite.
    """
    frames = FrameStack(policy.frame_stack)
    seen = frames.reset(env.reset(seed=start)[0])
    total, length, over = 0.0, 0, False
    longest = time_limit.limit(env).steps
    unfinished = None if path is None else path.with_name(f".{path.name}")
    with contextlib.ExitStack() as stack:
        film = None
        while not over and length < longest:
            action = policy(seen)
            if not np.isfinite(action).all():
                raise ValueError(
                    f"the policy of seed {member.seed} has no finite action after {length} steps: "
                    "an observation, or a parameter, is not finite."
                )
            observation, reward, terminated, truncated, _ = env.step(action)
            seen = frames.step(observation)
            total, length, over = total + float(reward), length + 1, terminated or truncated
            if unfinished is not None:
                picture = frame(env)
                if film is None:
                    fps = env.metadata.get("render_fps") or FPS
                    film = stack.enter_context(Video(unfinished, fps))
                film.add(picture)
    if path is not None and unfinished is not None:
        path = unfinished.rename(path.with_stem(f"{path.stem}-return-{total:.1f}"))
    return Played(member, policy.step, total, length, path)


def frame(env: gymnasium.Env) -> np.ndarray:
    """A picture (height, width, 3) of where an environment is.

    Raises:
      ValueError: there is none; says what may help.
    """
    try:
        picture: Any = env.render()
    except Exception as error:
        raise _undrawn(error, type(env.unwrapped).__module__) from error
    if not isinstance(picture, np.ndarray) or picture.ndim != 3 or picture.shape[-1] != 3:
        raise ValueError(
            "the environment cannot be drawn: its render() with render_mode rgb_array returns "
            f"{type(picture).__name__}, expected an array (height, width, 3)."
        )
    return picture.astype(np.uint8)


def _undrawn(error: Exception, module: str) -> ValueError:
    """Says why an environment of a module cannot be drawn, and what may help."""
    remedy = ""
    if "mujoco" in module:
        remedy = (
            " MuJoCo draws without a screen through EGL or OSMesa: install libegl1 or libosmesa6, "
            "and leave MUJOCO_GL unset or name the one that is there (egl, osmesa)."
        )
    reason = (str(error) or type(error).__name__).rstrip(".")
    if isinstance(error, NotImplementedError) and not str(error):
        reason = "its class has no render()"
    return ValueError(f"the environment cannot be drawn here: {reason}.{remedy}")
