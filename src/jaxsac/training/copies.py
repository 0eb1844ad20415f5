"""Copies of a population's environment on the host: to train in, and to evaluate in."""

from __future__ import annotations

import contextlib

from jaxsac.envs import host
from jaxsac.envs.checked import CheckedEnv
from jaxsac.envs.copies.in_turn import InTurn
from jaxsac.envs.copies.parallel import ParallelGroup
from jaxsac.envs.envpool import FAMILY, PoolGroup
from jaxsac.envs.fitness.examine import Examined, examine
from jaxsac.envs.options import EnvOptions
from jaxsac.envs.registry import make, make_one
from jaxsac.training.population import Population

TRAINING = "the copies that train, whose episodes then go on"
PURPOSE = "evaluation of "
"""Begins the name of a copy in an error."""


def make_envs(
    population: Population, per_seed: int, purpose: str = "", patience: float = 0
) -> host.HostEnvs:
    """Copies of the population's environment, `per_seed` of them for each seed.

    Args:
      population: the members.
      per_seed: how many.
      purpose: begins the name of a copy in an error.
      patience: seconds that making a copy may take; 0 for no limit.

    Raises:
      ValueError, ModuleNotFoundError: it cannot be made or learned on.
    """
    names = [
        f"{purpose}seed {population.labels[index // per_seed]}"
        for index in range(population.size * per_seed)
    ]

    env, timeout, options = population.env, population.env_timeout, population.env_options
    if env.startswith(FAMILY):
        group = PoolGroup(
            env, names, population.env_workers, timeout, options,
            lambda: make_one(env, f"a copy beside {names[0]}", timeout, options),
        )  # fmt: skip
    elif population.env_workers:
        group = ParallelGroup(env, names, population.env_workers, timeout, options, patience)
    else:
        group = InTurn(make(env, len(names), names.__getitem__, timeout, options, patience))
    try:
        return host.HostEnvs(group, population.size)
    except BaseException:
        with contextlib.suppress(Exception):  # of copies that nobody gets
            group.close()
        raise


def examine_first(envs: host.HostEnvs, population: Population) -> Examined:
    """What `envs.examine` finds, in copies beside the first and in its process.

    In none where `Population.eval_envs` is 0: a simulator may fail for the copies it has as soon as
    there is another.
    """
    env, options = population.env, population.env_options
    if population.env_workers:
        options = options.by_name(env)
    name = f"a first look at seed {population.labels[0]}"
    evaluates = population.eval_episodes > 0
    beside = population.eval_envs != 0
    return envs.ask_first(_examine, env, name, population.env_timeout, options, evaluates, beside)


def _examine(
    first: CheckedEnv,
    env: str,
    name: str,
    timeout: float,
    options: EnvOptions,
    evaluates: bool,
    beside: bool,
) -> Examined:
    def make_another() -> CheckedEnv:
        return make_one(env, name, timeout, options)

    return examine(env, first, make_another if beside else None, evaluates)


def make_evaluation_envs(
    population: Population, episodes: int
) -> tuple[host.HostEnvs | None, str | None]:
    """Copies to evaluate in, beside those that train.

    As many for each seed as `Population.eval_envs` says. Where that is left open they are one for
    each episode; or one, or none, where more cannot be made, as with a simulator that can exist
    once.

    Args:
      population: the members.
      episodes: of one evaluation, for each seed.

    Returns:
      The copies, or None where evaluation has to use those that train; and a sentence for a person
      where there are fewer than one for each episode.

    Raises:
      ValueError, ModuleNotFoundError, Exception: as many as were asked for cannot be made.
    """
    patience = population.env_timeout  # one may wait for those that train to go
    if population.eval_envs is not None:
        wanted = min(population.eval_envs, episodes)
        return (make_envs(population, wanted, PURPOSE, patience) if wanted else None), None
    reason = None
    for wanted in dict.fromkeys((episodes, 1)):
        try:
            envs = make_envs(population, wanted, PURPOSE, patience)
        except TimeoutError as error:  # not to be waited for twice
            return None, say_in_turn(population, TRAINING, str(error).removesuffix("."))
        except Exception as error:
            reason = error
            continue
        return envs, None if wanted == episodes else say_in_turn(population, "one copy", reason)
    return None, say_in_turn(population, TRAINING, reason)


def make_envs_to_evaluate_alone(population: Population, episodes: int) -> host.HostEnvs:
    """Copies to evaluate in where none trains: one where others cannot be opened beside it.

    Raises:
      ValueError, ModuleNotFoundError, Exception: as `make_evaluation_envs`.
    """
    envs, _ = make_evaluation_envs(population, episodes)
    if envs is None:
        return make_envs(population, 1, PURPOSE)
    if population.eval_envs is not None or envs.num_envs == 1:
        return envs
    try:
        envs.reset(range(population.size * envs.num_envs))
    except Exception:  # which one copy meets too, unless it comes from the others
        with contextlib.suppress(Exception):
            envs.close()
        return make_envs(population, 1, PURPOSE)
    return envs


def say_in_turn(population: Population, where: str, reason: object) -> str:
    """Says that there are fewer copies to evaluate in than episodes, where they are, and why."""
    return (
        f"{population.env} cannot be copied for evaluation ({reason}): the episodes of an "
        f"evaluation follow each other in {where}. --eval-envs says how many to make."
    )
