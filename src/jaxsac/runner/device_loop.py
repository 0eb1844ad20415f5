"""Environments and learning in one compiled program: many steps of all seeds a dispatch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsac.envs import device
from jaxsac.envs.arrival import Arrival
from jaxsac.runner import loop
from jaxsac.sac.state import Config, Hyperparameters


class DeviceCarry(NamedTuple):
    """Learners and their environments; every array has a leading seed axis."""

    learning: loop.Carry
    envs: device.Envs
    arrival: Arrival
    """Of the last step, not learned from yet."""


def init(
    seeds: jax.Array,
    env: device.Environment,
    num_envs: int,
    capacity: int,
    config: Config = Config(),
    hyperparameters: Hyperparameters = Hyperparameters(),
) -> DeviceCarry:
    """Fresh learners at the start of their first episodes; the carry can be donated.

    Args:
      seeds: (S,) integers; a member's keys derive from its own number alone.
      env: the environment.
      num_envs: E, copies of each seed.
      capacity: transitions that each seed's replay holds.
      config: static structure.
      hyperparameters: floats, shared by all seeds.
    """

    # Compiled, so that no two leaves share a buffer and the carry can be donated.
    @jax.jit
    def start(seeds: jax.Array) -> DeviceCarry:
        learning = loop.init(seeds, env.observation, env.action, capacity, config, hyperparameters)
        env_keys = jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(seed), 1))(seeds)
        envs, arrival = jax.vmap(lambda key: device.reset(env, key, num_envs))(env_keys)
        return DeviceCarry(learning, envs, arrival)

    return start(seeds)


def learn_chunk(
    carry: DeviceCarry,
    works: loop.Work,
    *,
    env: device.Environment,
    batch_size: int,
    over_seeds: Callable[[Callable[..., Any]], Callable[..., Any]] = jax.vmap,
) -> tuple[DeviceCarry, device.Ended]:
    """A scan over `learn_step` and the environments' step.

    Args:
      carry: leading axis S.
      works: what each step has to do, leading axis T.
      env: the environment.
      batch_size: transitions per update.
      over_seeds: as in `learn_step`.

    Returns:
      The carry, and the episodes that ended, (S, T, E).
    """

    def one_step(carry: DeviceCarry, work: loop.Work) -> tuple[DeviceCarry, device.Ended]:
        learning, action = loop.learn_step(
            carry.learning, *carry.arrival, work, batch_size=batch_size, over_seeds=over_seeds
        )
        envs, arrival, ended = jax.vmap(lambda e, a: device.step(env, e, a))(carry.envs, action)
        return DeviceCarry(learning, envs, arrival), ended

    carry, ended = jax.lax.scan(one_step, carry, works)
    return carry, jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), ended)


def works(schedule: loop.Schedule, step: int, count: int, num_envs: int) -> loop.Work:
    """The work of `count` steps from the one that follows transition number `step` on, (T,)."""
    steps = range(step, step + count * num_envs, num_envs)
    each = [schedule.work(max(0, s - num_envs), s) for s in steps]
    return loop.Work(
        jnp.array([w.num_updates for w in each], jnp.int32),
        jnp.array([w.uniform for w in each], bool),
    )
