"""Whether an environment is its seed and its actions, and what keeps state elsewhere if it is not.

What does is state that no checkpoint holds and that a seed does not bring back: the running
statistics of a wrapper, a global generator, a clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import wrappers

from jaxsac.envs.action_log import follow
from jaxsac.envs.walk import SEED, Walk, actions_of_layer, global_generators, lead, random_actions
from jaxsac.types import same_bits

STEPS, STARTS = 13, (5, 9)
"""In each walk, and where further episodes start. The third is the first whose start depends on all
that was drawn before."""
SECONDS = 4.0
"""After which no further step of a slow simulator is taken to find out."""
FORWARD, FEW = 2_000, 8
"""What a counter is set forward by to find out whether it matters, and the steps of that. Not by
more, as an environment may do something as often as it counts."""

NORMALIZERS = {
    wrappers.NormalizeObservation: (
        "leave it out and train with --normalize-observations, whose statistics are one set for "
        "training and evaluation and part of every checkpoint"
    ),
    wrappers.NormalizeReward: (
        "leave it out and train with --reward-scale return_std, whose statistics are part of every "
        "checkpoint, while an evaluation tells rewards as they are"
    ),
}
"""Gymnasium's wrappers with running statistics, and what does that right."""


def layers(env: gymnasium.Env) -> Iterator[gymnasium.Env]:
    """An environment in all its wrappers, then with one less each time, down to itself."""
    yield env
    while isinstance(env, gymnasium.Wrapper):
        env = env.env
        yield env


def running_statistics(env: gymnasium.Env) -> str | None:
    """What is wrong with a wrapper of `NORMALIZERS`; None where there is none that still learns."""
    layer: Any
    for layer in layers(env):
        for kind, remedy in NORMALIZERS.items():
            if isinstance(layer, kind) and layer.update_running_mean:
                return (
                    f"its wrapper {kind.__name__} keeps running statistics, which differ from copy "
                    "to copy: an evaluation sees other numbers than training, and a resumed run "
                    f"has forgotten them. Instead, {remedy}."
                )
    return None


def state_elsewhere(envs: Sequence[gymnasium.Env], steps: int = STEPS) -> tuple[str | None, Walk]:
    """What of an environment does not come from its seed and its actions.

    Args:
      envs: two copies that serve nothing else; one where no second can be made.
      steps: to take in each walk.

    Returns:
      A sentence that names it, None where nothing is found, and what the first copy returned.
      Python's and NumPy's global generators are left as they were.
    """
    with global_generators() as used:
        end = time.monotonic() + SECONDS
        actions = random_actions(envs[0], steps)
        walks = lead(envs, actions, STARTS, SECONDS)
        found = _of_generators(used()) or _of_copies(walks)
        if found is None and time.monotonic() < end:  # of a slow simulator not more than that
            again = lead(envs[:1], actions, STARTS)[0]
            found = (
                _of_resets(envs, walks[0], again)
                or _of_starts(walks[0], envs[-1])
                or _of_counters(walks[-1], actions[:FEW], end)
            )
        return found, walks[0]


def _of_generators(used: list[str]) -> str | None:
    if not used:
        return None
    return (
        f"it draws from {' and '.join(used)}, which all copies share and no seed of a run sets: "
        "draw from self.np_random, after super().reset(seed=seed)."
    )


def _of_copies(walks: list[Walk]) -> str | None:
    first, *others = walks
    for other in others:
        if where := _departure(first, other):
            return (
                "two copies with the same seed and the same actions return other numbers, "
                f"{where}: something in it comes from elsewhere, such as a clock or a generator "
                "without a seed. Draw from self.np_random, after super().reset(seed=seed)."
            )
    return None


def _of_resets(envs: Sequence[gymnasium.Env], first: Walk, again: Walk) -> str | None:
    where = _departure(first, again)
    if where is None:
        return None
    if len(envs) == 1:
        return (
            "a second reset with the same seed and the same actions lead elsewhere, "
            f"{where}: it keeps state through a reset, or draws without its seed."
        )
    return (
        f"{_keeper(envs[0])} keeps state through a reset with a seed ({where}), and no two copies "
        "have the same: training, evaluation and a resumed run differ in it. For running "
        "statistics of observations there is --normalize-observations; anything else is to be set "
        "anew in reset."
    )


def _of_starts(first: Walk, env: gymnasium.Env) -> str | None:
    """Whether a copy can be brought to where the last episode of a walk ended."""
    observation, _, length = follow(env, first.log, first.log.actions)
    if length == len(first.log.actions) and same_bits(observation, first.arrivals[-1].observation):
        return None
    return (
        "what it draws after its first reset cannot be brought back from self.np_random: draw "
        "from that generator alone, after super().reset(seed=seed)."
    )


def _of_counters(walk: Walk, actions: np.ndarray, end: float) -> str | None:
    """Whether results depend on a number that a reset with a seed leaves as it has become.

    Such as a count of episodes by which a curriculum gets harder: a dozen steps show no difference,
    and show one when the number is made larger.

    Args:
      walk: that has been led.
      actions: to take again.
      end: time after which no further step is begun.
    """
    if not len(actions):
        return None
    env = walk.env
    nested = list(layers(env))
    for (number, name), value in _counts(env, actions[0]).items():
        layer = nested[number]
        left = end - time.monotonic()
        if left < 0:
            break
        vars(layer)[name] = value + FORWARD
        try:
            differs = _departure(walk, lead([env], actions, STARTS, left)[0])
        except Exception:  # it is more than a count, and what it counts is not there
            differs = None
        if vars(layer).get(name, -1) < value + FORWARD:
            continue  # it has been set anew since: it is no count
        vars(layer)[name] = value
        if differs:
            return (
                f"its {type(layer).__name__} counts in {name!r} through a reset with a seed, and "
                "what it returns depends on that: copies, evaluation and a resumed run differ in "
                "it. Set it anew in reset, or let it come in through env_kwargs."
            )
    return None


def _counts(env: gymnasium.Env, action: np.ndarray) -> dict[tuple[int, str], Any]:
    """Numbers that grow alike by a reset and a step, and the same again, as counts do.

    Ports and other handles may do so too, and are not told apart. The numbers of processes that
    this one has started are left out: an environment that ends one before it starts the next would
    end another.
    """
    env.reset(seed=SEED)
    held = [_numbers(env)]
    for _ in range(2):
        env.step(np.array(action))
        env.reset(seed=SEED)
        held.append(_numbers(env))
    first, second, third = held
    processes = _processes()
    return {
        key: value
        for key, value in third.items()
        if key in first
        and key in second
        and second[key] - first[key] > 0
        and np.isclose(value - second[key], second[key] - first[key])
        and value not in processes
    }


def _processes() -> set[int]:
    """Those that this process has started, and they in turn."""
    import psutil

    return {each.pid for each in psutil.Process().children(recursive=True)}


def _numbers(env: gymnasium.Env) -> dict[tuple[int, str], Any]:
    """What the layers of an environment hold, by the number of the layer and a name."""
    return {
        (number, name): value
        for number, layer in enumerate(layers(env))
        for name, value in vars(layer).items()
        if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    }


def _departure(one: Walk, other: Walk) -> str | None:
    """Where two walks first differ, bit for bit."""
    for number, (a, b) in enumerate(zip(one.arrivals, other.arrivals, strict=False)):
        names = [name for name in a._fields if not same_bits(getattr(a, name), getattr(b, name))]
        if names:
            count = f"after {number} resets and steps" if number else "at the first reset"
            return f"first in the {names[0]} {count}"
    return None


def _keeper(env: gymnasium.Env) -> str:
    """The innermost layer that keeps state through a reset with a seed."""
    for layer in reversed(list(layers(env))):
        actions = actions_of_layer(layer, env, STEPS)
        one, other = (lead([layer], actions, STARTS)[0] for _ in range(2))
        if _departure(one, other):
            is_wrapper = isinstance(layer, gymnasium.Wrapper)
            return f"its wrapper {type(layer).__name__}" if is_wrapper else "it"
    return "it"
