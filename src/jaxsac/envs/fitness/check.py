"""Whether an environment on the host is fit for learning, looked for in a few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import gymnasium
import jax
import numpy as np
from gymnasium import spaces

from jaxsac.envs.checked import CheckedEnv, MisfitError
from jaxsac.envs.deadline import deadline
from jaxsac.envs.fitness import determinism, images, precision, time_limit
from jaxsac.envs.fitness.clipped import refuse_clipped
from jaxsac.envs.fitness.interface import departures
from jaxsac.envs.spaces import BOUNDED, SpaceError, action_map
from jaxsac.envs.walk import (
    Arrival,
    Walk,
    actions_of_layer,
    close_quietly,
    global_generators,
    lead,
    random_actions,
    spare_copies,
)
from jaxsac.types import Finding, same_bits

STEPS, SECONDS, BYTES = 2000, 4.0, 2**26
"""Of the walk by random actions, which ends with any of them."""
PRECISE = 50
"""Arrivals, the first of the walk, in which digits are looked for: changes within one episode."""
NARROWEST, WIDEST = 1e-6, 1e6
"""Ranges of an action beyond which they hardly are those of a controller."""
SMALLEST_REWARD, LARGEST_REWARD = 1e-4, 1e3
"""Of the largest reward in size, and of their standard deviation."""
SLOW = 100.0
"""Steps a second, below which the environment and not learning takes the time of a run."""
MILLION = 1_000_000
FEWEST_EPISODES = 3
"""Of equal length that show something."""


def check(make: Callable[[], CheckedEnv]) -> list[Finding]:
    """All checks of an environment.

    Args:
      make: makes a copy.

    Raises:
      ModuleNotFoundError, ValueError, Exception: it cannot be made.
    """
    with global_generators():
        try:
            env = make()
        except SpaceError as error:
            return [Finding("observation space", "bad", str(error))]
        try:
            found = list(_before_closing(env, make))
        except BaseException:
            close_quietly([env])
            raise
        return [*found, check_closing(env)]


def _before_closing(env: CheckedEnv, make: Callable[[], CheckedEnv]) -> Iterator[Finding]:
    yield images.check(env.observation_space)
    try:
        yield check_actions(env)
    except SpaceError as error:
        yield Finding("action space", "bad", str(error))
        return
    interface = check_interface(env)
    yield interface
    if interface.verdict == "bad":
        return
    try:
        walk, speed = _walk(env)
        last = check_last_observation(env, walk)
    except MisfitError as error:
        yield Finding("steps", "bad", str(error))
        return
    except Exception as error:
        yield Finding("steps", "bad", f"they raise {type(error).__name__}: {error}")
        return
    yield check_bounds(env, walk.arrivals)
    yield check_finite(walk.arrivals)
    yield check_precision(env, walk)
    yield check_determinism(env, make)
    yield check_episodes(env, walk)
    yield last
    yield check_reward_scale(np.array(walk.rewards, np.float64))
    yield check_speed(speed)


def check_actions(env: gymnasium.Env) -> Finding:
    """Whether actions have the range of a controller.

    Raises:
      SpaceError: they cannot be learned on at all.
    """
    refuse_clipped(env)
    low, high, *_ = action_map(env.action_space)
    width = high - low
    extreme = np.flatnonzero((width < NARROWEST) | (width > WIDEST))
    if extreme.size:
        first = extreme[0]
        return Finding(
            "action space",
            "bad",
            f"dimension {first} of an action lies between {low[first]:.3g} and {high[first]:.3g}, "
            "hardly the range of a controller, which is explored in full: give that, with "
            f"{BOUNDED}, say.",
        )
    return Finding("action space", "good", str(env.action_space))


def check_interface(env: CheckedEnv) -> Finding:
    """Whether the environment, and it in its wrappers, is as Gymnasium's are."""
    found = {}
    for layer in (env.unwrapped, env.env):
        action = actions_of_layer(layer, env, 1)[0]
        try:
            with deadline(env.timeout, "a reset or a step"):
                found |= {each.text: each.taken for each in departures(layer, action)}
        except (Exception, SystemExit) as error:
            found[f"{type(error).__name__}: {error}"] = False
    if not found:
        return Finding("interface", "good", "reset and step are as Gymnasium's")
    return Finding("interface", "advice" if all(found.values()) else "bad", " ".join(found))


@np.errstate(all="ignore")
def check_bounds(env: gymnasium.Env, arrivals: Sequence[Arrival]) -> Finding:
    """Whether observations lie within the bounds of their space."""
    for leaf in precision.leaves(env.observation_space):
        if not isinstance(leaf.space, spaces.Box):
            continue
        low, high = leaf.space.low.ravel(), leaf.space.high.ravel()
        for arrival in arrivals:
            # As the space has it: rounding to its dtype is no fault.
            value = leaf.of(arrival.observation).astype(leaf.space.dtype).ravel()
            outside = np.flatnonzero((value < low) | (value > high))
            if outside.size:
                first = outside[0]
                name = precision.element(leaf.name, leaf.space.shape, first)
                return Finding(
                    "bounds",
                    "bad",
                    f"{name} is {value[first]:.6g}, outside the bounds {low[first]:.6g} to "
                    f"{high[first]:.6g} of its space: widen them, or clip.",
                )
    return Finding("bounds", "good", "observations lie within those of their space")


def check_finite(arrivals: Sequence[Arrival]) -> Finding:
    """Whether observations and rewards are finite."""
    broken = sum(not _is_finite(arrival) for arrival in arrivals)
    if not broken:
        return Finding("finite numbers", "good", f"all of {len(arrivals):,} resets and steps")
    return Finding(
        "finite numbers",
        "bad",
        f"{broken} of {len(arrivals):,} resets and steps returned a NaN or an infinity: each ends "
        "its episode, and is kept out of replay.",
    )


def check_precision(env: gymnasium.Env, walk: Walk) -> Finding:
    """Whether numbers survive rounding to float32."""
    observations = [arrival.observation for arrival in walk.arrivals[:PRECISE]]
    lost = precision.lost(env.observation_space, observations, walk.rewards)
    good = "float32 keeps what changes in observations and rewards"
    return Finding("precision", "bad" if lost else "good", " ".join(lost) or good)


def check_determinism(env: CheckedEnv, make: Callable[[], CheckedEnv]) -> Finding:
    """Whether the environment is its seed and its actions."""
    problem = determinism.running_statistics(env)
    if problem is None:
        copies = spare_copies(make, env.timeout)
        try:
            problem, _ = determinism.state_elsewhere(copies or [env])
        except Exception:  # none can begin beside another
            close_quietly(copies)
            problem, _ = determinism.state_elsewhere([env])
        finally:
            close_quietly(copies)
    good = "the same seed and actions lead to the same numbers, and to where a run was stopped"
    return Finding("determinism", "bad" if problem else "good", problem or good)


def check_episodes(env: gymnasium.Env, walk: Walk) -> Finding:
    """Whether episodes end, and whether a time limit is called a termination."""
    limit, lengths = time_limit.declared(env), walk.lengths
    if limit is None and not lengths:
        watched = time_limit.watch(env)
        if not watched.ended:
            verdict = "bad" if watched.is_endless else "advice"
            return Finding(
                "episodes", verdict, f"it declares no time limit, and {watched.describe()}"
            )
        lengths = [watched.steps]
    truncated = any(arrival.truncated for arrival in walk.arrivals)
    if len(lengths) >= FEWEST_EPISODES and len(set(lengths)) == 1 < lengths[0] and not truncated:
        return Finding(
            "episodes",
            "advice",
            f"each of {len(lengths)} terminated after exactly {lengths[0]} steps. If that is a "
            "time limit, it is no termination: register it as max_episode_steps, or return "
            "truncated.",
        )
    text = "no time limit" if limit is None else f"a time limit of {limit:,} steps"
    if lengths:
        text += f"; {len(lengths)} by random actions had {min(lengths):,} to {max(lengths):,}"
    return Finding("episodes", "good", text)


def check_last_observation(env: gymnasium.Env, walk: Walk) -> Finding:
    """Whether the last observation of an episode is its own, and not the first of the next.

    The first episode is taken again with another last action. One that resets itself in that step
    returns the same, whatever the action was, while observations do depend on actions before.
    """
    good = Finding("last observation", "good", "an episode's last observation is its own")
    length = walk.lengths[0] if walk.lengths else 0
    if length < 2:
        return good
    actions = random_actions(env, STEPS)[:length]
    last, before = walk.arrivals[length], walk.arrivals[length - 1]
    other = _with_another(env, actions, length - 1)
    ends_there = other[-1][2:] == last[2:]  # by terminated and truncated
    if not ends_there or not same_bits(last.observation, other[-1].observation):
        return good
    earlier = _with_another(env, actions[:-1], length - 2)
    if same_bits(before.observation, earlier[-1].observation):
        return good  # actions do not show in observations at all
    return Finding(
        "last observation",
        "bad",
        "with the last step of an episode comes the first observation of the next, so values are "
        "bootstrapped from the wrong state: do not reset in step, jaxsac does it.",
    )


def _with_another(env: gymnasium.Env, actions: np.ndarray, index: int) -> list[Arrival]:
    """What an episode returns with another action at one place, as far as it goes then."""
    others = actions.copy()
    others[index] = random_actions(env, STEPS + 1)[-1]
    return lead([env], others)[0].arrivals[: len(actions) + 1]


@np.errstate(all="ignore")
def check_reward_scale(rewards: np.ndarray) -> Finding:
    """Whether rewards are of a size that learns well: the entropy is counted in the same units."""
    rewards = rewards[np.isfinite(rewards)]
    if not rewards.size:
        return Finding("rewards", "advice", "none is finite")
    largest, deviation = float(np.abs(rewards).max()), float(rewards.std())
    text = f"mean {rewards.mean():.3g}, standard deviation {deviation:.3g}"
    if largest == 0:
        text = f"all {len(rewards):,} are 0 for random actions: exploration may never find one"
    elif largest < SMALLEST_REWARD or deviation > LARGEST_REWARD:
        text += (
            ": gradients grow with them. Scale them to about 1: `gymnasium.wrappers.TransformReward"
            f"(env, lambda reward: reward / {deviation or largest:.1g})`."
        )
    else:
        return Finding("rewards", "good", text)
    return Finding("rewards", "advice", text)


def check_speed(speed: float) -> Finding:
    """What the environment's share of a run is."""
    text = f"{speed:,.0f} steps a second: {MILLION:,} steps take it {_duration(MILLION / speed)}"
    return Finding("speed", "good" if speed >= SLOW else "advice", text)


def check_closing(env: gymnasium.Env) -> Finding:
    """Whether the environment can be closed, and again."""
    for time_of in ("", " again"):
        try:
            env.close()
        except Exception as error:
            return Finding("closing", "bad", f"it raises when it is closed{time_of}: {error!r}")
    return Finding("closing", "good", "it can be closed, also twice")


def _walk(env: gymnasium.Env) -> tuple[Walk, float]:
    """A walk by random actions, and its steps a second; one step at least, however slow it is."""
    actions, walk = random_actions(env, STEPS), Walk(env)
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(walk.arrivals[0].observation))
    start = time.monotonic()
    for action in actions[: max(1, BYTES // held)]:
        if walk.over:
            walk.restart()
        walk.step(action)
        if time.monotonic() - start > SECONDS:
            break
    return walk, (len(walk.arrivals) - 1) / (time.monotonic() - start)


def _is_finite(arrival: Arrival) -> bool:
    return all(np.isfinite(x).all() for x in jax.tree.leaves((arrival.observation, arrival.reward)))


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"
