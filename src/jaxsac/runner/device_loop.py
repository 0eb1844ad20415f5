"""Environments and learning in one compiled program: many steps of all seeds a dispatch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsac.envs import device
from jaxsac.envs.arrival import Arrival
from jaxsac.runner import loop
from jaxsac.runner.config import TRAINING_STREAM
from jaxsac.sac.state import Config, Hyperparameters


class Finished(NamedTuple):
    """What came to an end in a chunk, summed by seed; each (S,)."""

    episodes: jax.Array
    returns: jax.Array
    lengths: jax.Array
    discarded: jax.Array
    """Steps that are no transitions because of a non-finite number."""


class DeviceCarry(NamedTuple):
    """Learners and their environments; every array has a leading seed axis."""

    learning: loop.Carry
    envs: device.Envs
    action: jax.Array
    """To be taken next, (S, E, A)."""


def init(
    seeds: jax.Array,
    env: device.Environment,
    num_envs: int,
    capacity: int,
    batch_size: int,
    normalize_observations: bool = False,
    config: Config = Config(),
    hyperparameters: Hyperparameters = Hyperparameters(),
) -> DeviceCarry:
    """Fresh learners at the start of their first episodes.

    Args:
      seeds: (S,) integers; a member's keys derive from its own number alone.
      env: the environment.
      num_envs: E, copies of each seed.
      capacity: transitions that each seed's replay holds.
      batch_size: transitions per update.
      normalize_observations: show the agent observations on the scale of those so far.
      config: static structure.
      hyperparameters: each a float that all seeds share, or (S,).
    """
    learning = loop.init(
        seeds, env.observation, env.action, capacity, config, hyperparameters, batch_size,
        normalize_observations,
    )  # fmt: skip

    def start(seed: jax.Array) -> tuple[device.Envs, Arrival]:
        return device.reset(env, stream_key(seed, TRAINING_STREAM), num_envs)

    envs, arrival = jax.vmap(start)(seeds)
    # No run is without a warm-up, so the first action is a uniform one.
    learning, action = loop.next_action(learning, arrival.observation, uniform=True)
    return DeviceCarry(learning, envs, action)


def stream_key(seed: jax.Array, stream: int) -> jax.Array:
    """The key of a member's environments, apart from that of its learner."""
    return jax.random.fold_in(jax.random.key(seed), 1 + stream)


def learn_chunk(
    carry: DeviceCarry,
    works: loop.Work,
    count: jax.Array,
    *,
    env: device.Environment,
    batch_size: int,
    over_seeds: Callable[[Callable[..., Any]], Callable[..., Any]] = jax.vmap,
) -> tuple[DeviceCarry, Finished]:
    """`count` times a step of the environments and `learn_step`.

    Args:
      carry: leading axis S.
      works: what each step has to do, leading axis T.
      count: steps to take, at most T; a new value does not compile a new program.
      env: the environment.
      batch_size: transitions per update.
      over_seeds: as in `learn_step`.

    Returns:
      The carry, and what came to an end.
    """

    def one_step(
        number: jax.Array, value: tuple[DeviceCarry, Finished]
    ) -> tuple[DeviceCarry, Finished]:
        carry, finished = value
        work = jax.tree.map(lambda each: each[number], works)
        envs, arrival, ended = jax.vmap(functools.partial(device.step, env))(
            carry.envs, carry.action
        )
        learning, action = loop.learn_step(
            carry.learning, *arrival, work, batch_size=batch_size, over_seeds=over_seeds
        )
        now = Finished(
            ended.mask,
            jnp.where(ended.mask, ended.episode_return, 0),
            jnp.where(ended.mask, ended.episode_length, 0),
            ~arrival.valid,
        )
        finished = jax.tree.map(lambda total, each: total + each.sum(axis=1), finished, now)
        return DeviceCarry(learning, envs, action), finished

    num_seeds = len(carry.action)
    none = jnp.zeros(num_seeds, jnp.int32)
    nothing = Finished(none, none.astype(carry.envs.episode_return.dtype), none, none)
    return jax.lax.fori_loop(0, count, one_step, (carry, nothing))


def works(schedule: loop.Schedule, step: int, count: int, num_envs: int) -> loop.Work:
    """The work of `count` steps after transition number `step`, (T,)."""
    befores = range(step, step + count * num_envs, num_envs)
    each = [schedule.work(before, before + num_envs) for before in befores]
    return loop.Work(
        jnp.array([w.num_updates for w in each], jnp.int32),
        jnp.array([w.uniform for w in each], bool),
    )


def evaluate(
    policy: loop.Policy,
    key: jax.Array,
    *,
    env: device.Environment,
    episodes: int,
    sampled: bool,
    longest: int,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """One episode of one seed in each of as many copies.

    Args:
      policy: of one seed.
      key: for the start states, and for the actions if they are sampled.
      env: the environment.
      episodes: how many.
      sampled: draw the actions instead of taking the mode.
      longest: steps after which an episode is given up.

    Returns:
      Returns, NaN for an episode with a NaN or an infinity in it; lengths; whether each episode
      has ended, (episodes,).
    """
    reset_key, key = jax.random.split(key)
    envs, arrival = device.reset(env, reset_key, episodes)
    dtype = envs.episode_return.dtype

    def not_ended(value: Any) -> jax.Array:
        count, *_, ended = value
        return ~ended.all() & (count < longest)

    def one_step(value: Any) -> Any:
        count, envs, observation, key, returns, lengths, ended = value
        key, action_key = jax.random.split(key)
        action = loop.act(policy, observation, action_key if sampled else None)
        envs, arrival, now = device.step(env, envs, action)
        first = now.mask & ~ended
        returns = jnp.where(first, now.episode_return, returns)
        lengths = jnp.where(first, now.episode_length, lengths)
        ended |= now.mask | ~arrival.valid
        return count + 1, envs, arrival.observation, key, returns, lengths, ended

    start = (
        0, envs, arrival.observation, key, jnp.full(episodes, jnp.nan, dtype),
        jnp.zeros(episodes, jnp.int32), jnp.zeros(episodes, bool),
    )  # fmt: skip
    *_, returns, lengths, ended = jax.lax.while_loop(not_ended, one_step, start)
    return returns, lengths, ended
