"""Episodes of saved policies to look at: as videos, or in a window."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import gymnasium

from jaxsac.envs import host, spaces
from jaxsac.envs.checked import close_and_tell
from jaxsac.runs.checkpoints import best
from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.runs.metrics import metrics
from jaxsac.runs.policies import drawn, video
from jaxsac.runs.policies.drawn import Member, Played
from jaxsac.runs.policies.evaluation import FRESH, of_another_environment
from jaxsac.runs.policies.load import Policy, load_policy
from jaxsac.runs.settings import settings
from jaxsac.runs.settings.values import whole
from jaxsac.training.population import EVALUATION_STREAM

Which = int | Literal["latest", "best"]


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
    if whole("episodes", episodes) < 1:
        raise ValueError(f"episodes must be at least 1, got {episodes}.")
    if point is not None and seed is None:
        raise ValueError(f"point {point} is one of a seed's: give that too, with --seed.")
    changes = of_another_environment(changes)
    run = RunDirectory(Path(directory))
    config = dataclasses.replace(run.config(), **changes)
    path = Path(output or run.path / "play" / f"{settings.file_name(config.env)}.mp4").expanduser()
    if not window:
        video.check_ending(path)
        video.draw_without_a_screen()
    members = _chosen(run, which) if seed is None else [Member(seed, point)]
    policies = [load_policy(run.path, each.seed, which, each.point) for each in members]
    with contextlib.ExitStack() as stack:
        env = drawn.make(config, "human" if window else "rgb_array")
        stack.callback(close_and_tell, config.env, env)
        for member, policy in zip(members, policies, strict=True):
            step = FRESH if which == "best" else policy.step
            starts = host.environment_seeds(member.seed, (EVALUATION_STREAM, step), episodes)
            for number, start in enumerate(starts, 1):
                name = f"{path.stem}-{member.name}" + f"-episode-{number}" * (episodes > 1)
                target = None if window else path.with_name(f"{name}{path.suffix}")
                yield drawn.episode(env, _in_units_of(env, policy), member, start, target)


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
                returns[Member(config.member_seeds[index], point)] = value
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
