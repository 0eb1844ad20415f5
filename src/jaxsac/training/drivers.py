"""Which driver an environment needs."""

from __future__ import annotations

from jaxsac.envs.copies import mujoco_warnings
from jaxsac.envs.in_jax.families import make_in_jax
from jaxsac.training.copies import make_envs_to_evaluate_alone
from jaxsac.training.device_driver import DeviceDriver
from jaxsac.training.driver import Driver, Evaluator
from jaxsac.training.evaluate import HostEvaluator
from jaxsac.training.host_driver import HostDriver
from jaxsac.training.population import Population
from jaxsac.training.seed_axis import SeedAxis


def make_driver(population: Population, axis: SeedAxis) -> Driver:
    """The driver for a population's environment, on the host or in JAX.

    Raises:
      ValueError, ModuleNotFoundError: the environment cannot be made or learned on.
    """
    mujoco_warnings.redirect()
    env = make_in_jax(population.env, population.env_options)
    if env is None:
        return HostDriver(population, axis)
    if population.env_workers:
        raise ValueError(
            f"{population.env} steps on the device, so env_workers {population.env_workers} would "
            "have no effect: leave it at 0."
        )
    return DeviceDriver(population, env, axis)


def make_evaluator(population: Population, axis: SeedAxis) -> Evaluator:
    """What evaluates in a population's environment, of which no copy to train in is made.

    Raises:
      ValueError, ModuleNotFoundError: the environment cannot be made.
    """
    mujoco_warnings.redirect()
    env = make_in_jax(population.env, population.env_options)
    if env is not None:
        return DeviceDriver(population, env, axis)
    envs = make_envs_to_evaluate_alone(population, population.eval_episodes)
    return HostEvaluator(population, axis, envs)
