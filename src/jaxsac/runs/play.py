"""Episodes of saved policies to look at: as videos, or in a window."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import gymnasium
import numpy as np

from jaxsac.data.frame_stack import FrameStack
from jaxsac.envs import host, registry, spaces, time_limit
from jaxsac.runs import best, metrics, settings, video
from jaxsac.runs.config import RunConfig
from jaxsac.runs.directory import RunDirectory
from jaxsac.runs.evaluation import FRESH
from jaxsac.runs.load import Policy, load_policy
from jaxsac.runs.video import Video
from jaxsac.training.population import EVALUATION_STREAM

Which = int | Literal["latest", "best"]
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


def play(
    directory: Path | str,
    seed: int | None = None,
    which: Which = "latest",
    point: int | None = None,
    output: Path | str | None = None,
    episodes: int = 1,
    window: bool = False,
    changes: dict[str, Any] | None = None,
) -> Iterator[Played]:
    """Plays episodes of saved policies, and draws each step.

    The first episodes are those that the run's evaluation at that step has begun with; those of the
    best policies, which were chosen by such, are others.

    Args:
      directory: a run directory.
      seed: number of a seed; by default the best, the median and the worst by their returns.
      which: the latest checkpoint, one by its step, or the best policy by the run's evaluations.
      point: of a run that trains several points of a sweep, which one.
      output: an .mp4 or a .gif; the seed and the return of an episode are added to its name. By
        default `play/<environment>.mp4` in the run directory.
      episodes: of each seed.
      window: whether to show them in a window, and write nothing.
      changes: other values of env, env_kwargs and wrapper than those of the run.

    Yields:
      Each episode, once it is over and written.

    Raises:
      ValueError: an environment that cannot be drawn or has other spaces; no such seed; returns to
        choose by are not there; an ending that is not known.
      RunDirectoryError, BundleError: there is no such run or checkpoint, or it is damaged.
      ModuleNotFoundError: writing needs a package that is not installed.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, got {episodes}.")
    if point is not None and seed is None:
        raise ValueError(f"point {point} is one of a seed's: give that too, with --seed.")
    changes = dict(changes or {})
    if "env" in changes:
        changes = {"env_kwargs": {}, "wrapper": (), **changes}
    run = RunDirectory(Path(directory))
    config = dataclasses.replace(run.config(), **changes)
    path = Path(output or run.path / "play" / f"{settings.file_name(config.env)}.mp4")
    if not window:
        video.check_ending(path)
        video.draw_without_a_screen()
    members = _chosen(run, which) if seed is None else [Member(seed, point)]
    policies = [load_policy(run.path, each.seed, which, each.point) for each in members]
    with contextlib.closing(_make(config, "human" if window else "rgb_array")) as env:
        for member, policy in zip(members, policies, strict=True):
            step = FRESH if which == "best" else policy.step
            starts = host.environment_seeds(member.seed, (EVALUATION_STREAM, step), episodes)
            for number, start in enumerate(starts, 1):
                name = f"{path.stem}-{member.name}" + f"-episode-{number}" * (episodes > 1)
                target = None if window else path.with_name(f"{name}{path.suffix}")
                yield _episode(env, _in_units_of(env, policy), member, start, target)


def _chosen(run: RunDirectory, which: Which) -> list[Member]:
    """The best, the median and the worst member, by their returns.

    Raises:
      ValueError: the returns of not one member are known.
    """
    returns: dict[Member, float] = {}
    for group in run.groups():
        config, names = group.config(), group.config().member_names
        best_returns = best.returns(group.best, names)
        for index, name in enumerate(names):
            point = index // config.seeds if len(config.points) > 1 else None
            file = metrics.path(group.metrics, name)
            rows = metrics.read(file) if file.exists() else []
            value = best_returns[index] if which == "best" else _latest(rows, which)
            if math.isfinite(value):
                returns[Member(config.seed + index % config.seeds, point)] = value
    if not returns:
        raise ValueError(
            f"{run.path} has no returns to choose its best, median and worst seed by: name one "
            "with --seed."
        )
    ranked = sorted(returns, key=lambda member: returns[member], reverse=True)
    return list(dict.fromkeys((ranked[0], ranked[(len(ranked) - 1) // 2], ranked[-1])))


def _latest(rows: list[dict[str, float | None]], which: Which) -> float:
    """The last return that a member was measured to have, at its policy's step or before it."""
    last = math.inf if isinstance(which, str) else which
    rows = [row for row in rows if (row["step"] or 0) <= last]
    for column in ("eval_return", "train_return"):
        values = [value for row in rows if (value := row[column]) is not None]
        if values:
            return values[-1]
    return math.nan


def _make(config: RunConfig, render_mode: str) -> gymnasium.Env:
    """The run's environment, which draws itself.

    Raises:
      ValueError: it cannot.
    """
    try:
        registry.redirect_mujoco_warnings()
    except Exception as error:  # its import fails where MUJOCO_GL names what is not there
        raise _undrawn(error, "mujoco") from error
    options = config.to_population().env_options
    if registry.make_in_jax(config.env, options) is not None:
        raise ValueError(
            f"{config.env} is an environment in JAX, which draws no pictures: there is nothing to "
            "see, unless --env names one of Gymnasium's with the same observations and actions, "
            "such as Pendulum-v1 for jaxsac:Pendulum-v1."
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


def _in_units_of(env: gymnasium.Env, policy: Policy) -> Policy:
    """The policy with the action bounds of an environment, which may be another than its own.

    Raises:
      ValueError: another size of actions.
    """
    action_map = spaces.action_map(env.action_space)
    if action_map.size != policy.action_map.size:
        raise ValueError(
            f"the environment has {action_map.size} actions, and the policies of this run choose "
            f"{policy.action_map.size}."
        )
    own = policy.spaces._replace(action_map=action_map)
    return Policy(policy.learned, own, policy.step, policy.settings)


def _episode(
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
    longest = time_limit.declared(env) or time_limit.LONGEST_EPISODE
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
                frame = _frame(env)
                if film is None:
                    fps = env.metadata.get("render_fps") or FPS
                    film = stack.enter_context(Video(unfinished, fps))
                film.add(frame)
    if path is not None and unfinished is not None:
        path = unfinished.rename(path.with_stem(f"{path.stem}-return-{total:.1f}"))
    return Played(member, policy.step, total, length, path)


def _frame(env: gymnasium.Env) -> np.ndarray:
    """A picture (height, width, 3) of where an environment is.

    Raises:
      ValueError: there is none; says what may help.
    """
    try:
        frame: Any = env.render()
    except Exception as error:
        raise _undrawn(error, type(env.unwrapped).__module__) from error
    if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.shape[-1] != 3:
        raise ValueError(
            "the environment cannot be drawn: its render() with render_mode rgb_array returns "
            f"{type(frame).__name__}, expected an array (height, width, 3)."
        )
    return frame.astype(np.uint8)


def _undrawn(error: Exception, module: str) -> ValueError:
    """Says why an environment of a module cannot be drawn, and what may help."""
    remedy = ""
    if "mujoco" in module:
        remedy = (
            " MuJoCo draws without a screen through EGL or OSMesa: install libegl1 or libosmesa6, "
            "and leave MUJOCO_GL unset or name the one that is there (egl, osmesa)."
        )
    reason = (str(error) or type(error).__name__).rstrip(".")
    return ValueError(f"the environment cannot be drawn here: {reason}.{remedy}")
