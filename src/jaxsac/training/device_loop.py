"""Environments and learning in one compiled program: many steps of all seeds a dispatch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsac.data import frame_stack as stacking
from jaxsac.data.replay import Buffer
from jaxsac.envs.in_jax import device
from jaxsac.training import learner
from jaxsac.training.carry import Carry, Policy
from jaxsac.training.population import TRAINING_STREAM, Population, stream_key
from jaxsac.training.returns import Totals
from jaxsac.training.schedule import Work


class DeviceCarry(NamedTuple):
    """Learners and their environments; every array has a leading seed axis."""

    learning: Carry
    envs: device.Envs


def reset(population: Population, env: device.Environment) -> device.Envs:
    """The environments of all members at the start of their first episodes."""

    def start(seed: jax.Array) -> device.Envs:
        return device.reset(env, stream_key(seed, TRAINING_STREAM), population.num_envs)

    return jax.vmap(start)(population.seeds)


def init(population: Population, env: device.Environment) -> DeviceCarry:
    """Fresh learners at the start of their first episodes."""
    envs = reset(population, env)
    return DeviceCarry(learner.init(population, envs.state.observation, env.action), envs)


def learn_chunk(
    carry: DeviceCarry,
    works: Work,
    count: jax.Array,
    prior: Buffer | tuple[()] = (),
    *,
    env: device.Environment,
    batch_size: int,
    prior_rows: int = 0,
    over_seeds: Callable[[Callable[..., Any]], Callable[..., Any]] = jax.vmap,
) -> tuple[DeviceCarry, Totals]:
    """`count` times a step of the environments and `learn_step`.

    Args:
      carry: leading axis S.
      works: what each step has to do, leading axis T.
      count: steps to take, at most T; a new value does not compile a new program.
      prior: as in `learn_step`.
      env: the environment.
      batch_size: transitions per update.
      prior_rows: as in `learn_step`.
      over_seeds: as in `learn_step`.

    Returns:
      The carry, and what the steps came to.
    """
    step_envs = jax.vmap(functools.partial(device.step, env))

    def one_step(
        number: jax.Array, value: tuple[DeviceCarry, Totals]
    ) -> tuple[DeviceCarry, Totals]:
        (learning, envs), totals = value
        work = jax.tree.map(lambda each: each[number], works)
        envs, result, end = step_envs(envs, learning.action)
        learning = learner.learn_step(
            learning,
            result,
            work,
            prior,
            batch_size=batch_size,
            prior_rows=prior_rows,
            over_seeds=over_seeds,
        )
        more = Totals.of(end, result.valid)
        # Where JAX has 64 bits enabled, sums of 32-bit numbers have 64.
        more = jax.tree.map(lambda x, sum_so_far: x.astype(sum_so_far.dtype), more, totals)
        return DeviceCarry(learning, envs), totals + more

    none = jnp.zeros(len(carry.learning.action), jnp.int32)
    nothing = Totals(none, none.astype(carry.envs.episode_return.dtype), none, none)
    return jax.lax.fori_loop(0, count, one_step, (carry, nothing))


def evaluate(
    policy: Policy,
    key: jax.Array,
    *,
    env: device.Environment,
    episodes: int,
    sampled: bool,
    longest: int,
    frame_stack: int = 1,
) -> tuple[jax.Array, jax.Array]:
    """One episode of one seed in each of as many copies.

    Args:
      policy: of one seed.
      key: for the start states, and for the actions if they are sampled.
      env: the environment.
      episodes: how many.
      sampled: draw the actions instead of taking the mode.
      longest: steps after which an episode is given up.
      frame_stack: observations that the policy sees at once.

    Returns:
      Returns, NaN for an episode with a NaN or an infinity in it, and lengths, (episodes,).
    """
    reset_key, key = jax.random.split(key)
    envs = device.reset(env, reset_key, episodes)

    def not_ended(value: Any) -> jax.Array:
        count, *_, ended = value
        return ~ended.all() & (count < longest)

    def one_step(value: Any) -> Any:
        count, envs, seen, key, returns, lengths, ended = value
        key, action_key = jax.random.split(key)
        action = learner.act(policy, seen, action_key if sampled else None)
        envs, result, end = device.step(env, envs, action)
        seen = stacking.follow(seen, result.observation, result.over)
        first = end.mask & ~ended
        returns = jnp.where(first, end.episode_return, returns)
        lengths = jnp.where(first, end.episode_length, lengths)
        return count + 1, envs, seen, key, returns, lengths, ended | end.mask | ~result.valid

    none = jnp.zeros(episodes, bool)
    returns = jnp.full(episodes, jnp.nan, envs.episode_return.dtype)
    seen = stacking.begin(envs.state.observation, frame_stack)
    start = (0, envs, seen, key, returns, none.astype(jnp.int32), none)
    *_, returns, lengths, _ = jax.lax.while_loop(not_ended, one_step, start)
    return returns, lengths
