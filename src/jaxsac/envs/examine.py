"""What a run is told of its environment at the start, before anything depends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gymnasium

from jaxsac.envs import determinism, precision, time_limit
from jaxsac.envs.checked import MisfitError, is_fault
from jaxsac.envs.walk import close_quietly, global_generators, spare_copies


def examine(
    name: str, env: gymnasium.Env, make: Callable[[], gymnasium.Env], evaluates: bool
) -> list[str]:
    """Looks for what would spoil a run, in a second or less but for slow simulators.

    It takes a few dozen random steps in copies of its own. Where no other copy can be made, the
    given one is reset, and takes no step. Other errors than those below are left to training,
    which meets them with something to save.

    Args:
      name: of the environment, for a person.
      env: a copy that is going to train, and has not been reset yet.
      make: makes another one.
      evaluates: whether the run evaluates its policies.

    Returns:
      Sentences on what a run can do without: exact resuming, digits, an end of its episodes.

    Raises:
      ValueError: statistics of a wrapper that evaluation would not share, numbers that do not fit
        what is learned on, or an evaluation that would not end.
    """
    if (problem := determinism.running_statistics(env)) is not None:
        raise ValueError(f"{name}: {problem}")
    copies = spare_copies(make)
    found = []
    with global_generators():
        try:
            found.extend(_look(name, env, copies, evaluates))
        except MisfitError as error:
            raise ValueError(f"{name}: {error}") from error
        except Exception as error:
            if not is_fault(error):
                raise
        finally:
            close_quietly(copies)
    return found


def _look(
    name: str, env: gymnasium.Env, copies: list[gymnasium.Env], evaluates: bool
) -> Iterator[str]:
    steps = determinism.STEPS if copies else 0
    elsewhere, walk = determinism.state_elsewhere(copies or [env], steps)
    rewards = [arrival.reward for arrival in walk.arrivals]
    observations = [arrival.observation for arrival in walk.arrivals]
    for text in precision.lost(env.observation_space, observations, rewards):
        yield f"{name}: {text}"
    if elsewhere is not None:
        yield f"{name} cannot be resumed exactly: {elsewhere}"
    if time_limit.declared(env) is None:
        yield from _endless(name, copies, evaluates)


def _endless(name: str, copies: list[gymnasium.Env], evaluates: bool) -> Iterator[str]:
    watched = time_limit.watch(copies[0]) if copies else time_limit.Watched(0, ended=False)
    if watched.ended:
        return
    so_far = (
        f"{name} declares no time limit, and no episode ended in {watched.steps:,} random steps"
    )
    if watched.steps < time_limit.LONGEST_EPISODE:
        yield (
            f"{so_far}: if none does in {time_limit.LONGEST_EPISODE:,}, an evaluation gives up and "
            f"ends the run. To be sure, {time_limit.REMEDY}."
        )
    elif evaluates:
        raise ValueError(f"{so_far}: an evaluation would not end. Either {time_limit.REMEDY}.")
    else:
        yield f"{so_far}: there may be no returns of episodes to report, and but one start state."
