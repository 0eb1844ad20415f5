"""What a run is told of its environment at the start, before anything depends on it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import gymnasium

from jaxsac.envs.checked import CheckedEnv, MisfitError, is_fault
from jaxsac.envs.deadline import deadline
from jaxsac.envs.fitness import determinism, images, precision, time_limit
from jaxsac.envs.fitness.check import check_actions
from jaxsac.envs.fitness.interface import Departure, departures
from jaxsac.envs.walk import (
    SEED,
    actions_of_layer,
    close_quietly,
    global_generators,
    random_actions,
    spare_copies,
)


class Examined(NamedTuple):
    """What was found in an environment that can be trained in."""

    remarks: list[str]
    """Sentences on what a run can do without: exact resuming, digits, an end of its episodes."""
    alone: str | None
    """Why a copy cannot begin beside another, as of a simulator that is opened by its reset."""


def examine(
    name: str, env: CheckedEnv, make: Callable[[], CheckedEnv] | None, evaluates: bool
) -> Examined:
    """Looks for what would spoil a run, in a second or less but for slow simulators.

    It takes a few dozen random steps in copies of its own. Where no other copy can be made, the
    given one is reset, and takes no step. What is raised later than in the first step is left to
    training, which meets it with something to save.

    Args:
      name: of the environment, for a person.
      env: a copy that is going to train, and has not been reset yet.
      make: makes another one; None where there is to be no other.
      evaluates: whether the run evaluates its policies.

    Raises:
      ValueError: an interface other than Gymnasium's, statistics of a wrapper that evaluation would
        not share, numbers that do not fit what is learned on, or an evaluation that would not end.
      Exception: what its first reset or step raises.
    """
    if (problem := determinism.running_statistics(env)) is not None:
        raise ValueError(f"{name}: {problem}")
    copies = spare_copies(make, env.timeout) if make is not None else []
    alone = None
    with global_generators():
        try:
            found, fault = _looked(name, env, copies, evaluates)
            if fault is not None and (alone := _begin(name, copies)) is not None:
                close_quietly(copies[1:])
                del copies[1:]
                found, _ = _looked(name, env, copies, evaluates)
        finally:
            close_quietly(copies)
    return Examined(found, alone)


def _looked(
    name: str, env: CheckedEnv, copies: list[CheckedEnv], evaluates: bool
) -> tuple[list[str], Exception | None]:
    """What is found until the environment fails, and by what it does."""
    found = []
    try:
        found.extend(_look(name, env, copies, evaluates))
    except MisfitError as error:
        for copy in copies[:1]:  # a wrapper may have unpacked what is none
            _refuse_interface(name, copy, error)
        raise ValueError(f"{name}: {error}") from error
    except Exception as error:
        if not is_fault(error):
            raise
        return found, error
    return found, None


def _begin(name: str, copies: list[CheckedEnv]) -> str | None:
    """Raises what keeps the first copy from its first step; says what keeps the second from it."""
    for number, env in enumerate(copies):
        action = random_actions(env, 1)[0]
        try:
            env.reset(seed=SEED)
            env.step(action)
        except Exception as error:
            if number:
                return str(error)
            _refuse_interface(name, env, error)
            raise
    return None


def _refuse_interface(name: str, env: CheckedEnv, error: Exception) -> None:
    """Says what of the environment's own interface has led to an error, if anything has."""
    for departure in _departures(env, env.unwrapped):
        if not departure.taken:
            raise ValueError(f"{name}: {departure.text}") from error


def _departures(env: CheckedEnv, layer: gymnasium.Env) -> list[Departure]:
    """Of one of an environment's layers from Gymnasium's interface, as far as it comes."""
    found = []
    with contextlib.suppress(Exception, SystemExit), deadline(env.timeout):
        found.extend(departures(layer, actions_of_layer(layer, env, 1)[0]))
    return found


def _look(name: str, env: CheckedEnv, copies: list[CheckedEnv], evaluates: bool) -> Iterator[str]:
    if (actions := check_actions(env)).verdict == "bad":
        yield f"{name}: {actions.detail}"
    for text in images.misread(env.observation_space):
        yield f"{name}: {text}"
    steps = determinism.STEPS if copies else 0
    elsewhere, walk = determinism.state_elsewhere(copies or [env], steps)
    observations = [arrival.observation for arrival in walk.arrivals]
    for text in precision.lost(env.observation_space, observations, walk.rewards):
        yield f"{name}: {text}"
    if elsewhere is not None:
        yield f"{name} cannot be resumed exactly: {elsewhere}"
    if time_limit.declared(env) is None:
        yield from _endless(name, copies, evaluates)
    for copy in copies[:1]:
        layers = (copy.unwrapped, copy.env)
        for each in dict.fromkeys(d for layer in layers for d in _departures(copy, layer)):
            if each.taken:
                yield f"{name}: {each.text}"


def _endless(name: str, copies: list[CheckedEnv], evaluates: bool) -> Iterator[str]:
    watched = time_limit.watch(copies[0]) if copies else time_limit.Watched(0, ended=False)
    if watched.ended:
        return
    without = f"{name} declares no time limit, and"
    if not watched.is_endless:
        yield f"{without} {watched.describe()}"
    elif evaluates:
        raise ValueError(f"{without} {watched.describe()}")
    else:
        yield (
            f"{without} no episode ended in {watched.steps:,} random steps: there may be no "
            "returns of episodes to report, and but one start state."
        )
