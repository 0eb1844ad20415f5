"""Which driver an environment needs."""

from __future__ import annotations

from jaxsac.envs.registry import make_in_jax, redirect_mujoco_warnings
from jaxsac.training.device_driver import DeviceDriver
from jaxsac.training.driver import Driver
from jaxsac.training.host_driver import HostDriver
from jaxsac.training.population import Population
from jaxsac.training.seed_axis import SeedAxis


def make_driver(population: Population, axis: SeedAxis) -> Driver:
    """The driver for a population's environment, on the host or in JAX.

    Raises:
      ValueError, ModuleNotFoundError: the environment cannot be made or learned on.
    """
    redirect_mujoco_warnings()
    env = make_in_jax(population.env)
    return HostDriver(population, axis) if env is None else DeviceDriver(population, env, axis)
