"""One step of learning, for all seeds at once: insert, sample, update, act."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxsac import draws
from jaxsac.data import (
    frame_stack,
    frames,
    mixture,
    n_step,
    normalize,
    replay,
    return_scale,
)
from jaxsac.data.normalize import Normalizer
from jaxsac.data.replay import Buffer
from jaxsac.data.return_scale import ReturnScale
from jaxsac.envs.step_result import StepResult
from jaxsac.sac import agent as sac
from jaxsac.sac import held_noise
from jaxsac.sac.config import Hyperparameters
from jaxsac.sac.policy import is_due
from jaxsac.sac.state import Metrics, State
from jaxsac.training import flight_recorder, interval, resets
from jaxsac.training.carry import Acting, Carry, Policy
from jaxsac.training.population import RESET_STREAM, Population, stream_key
from jaxsac.training.schedule import Work
from jaxsac.types import PyTree, Spec, Transition, transition_of

OverSeeds = Callable[[Callable[..., Any]], Callable[..., Any]]
"""How a function of one seed runs over the seed axis."""


def init(population: Population, observation: PyTree, action: jax.ShapeDtypeStruct) -> Carry:
    """The carry before the first step, with a uniform action: no run is without a warm-up.

    Args:
      population: the members, S of them.
      observation: where their environments start, (S, E, ...).
      action: struct of one action, (A,).

    Raises:
      ValueError: observations that cannot be stacked, and are to be.
    """
    frame = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[2:], x.dtype), observation)
    example = frame_stack.structs(frame, population.frame_stack)
    num_envs, hold = jax.tree.leaves(observation)[0].shape[1], population.noise_hold
    seen = transition_of(example, action)

    def init_member(
        seed: jax.Array, hyperparameters: Hyperparameters, observation: PyTree
    ) -> Carry:
        init_key, key = jax.random.split(jax.random.key(seed))
        agent = sac.init(init_key, example, action, population.agent, hyperparameters)
        scale = return_scale.init(
            population.reward_scale, num_envs, population.reward_scale_bound, action.dtype
        )
        batch = Spec.of(seen).zeros(population.batch_size)
        stacked = frames.init(
            population.frame_stack, num_envs, population.replay_capacity, frame, population.n_step
        )
        transition = frames.stored(stacked, seen)
        _, metrics = jax.eval_shape(sac.update, agent, batch, key)
        return Carry(
            agent=agent,
            normalizer=normalize.init(example) if population.normalize_observations else (),
            window=n_step.init(population.n_step, num_envs, transition),
            return_scale=scale,
            noise=held_noise.init(hold, num_envs, key) if hold > 1 else (),
            resets=resets.init(population.reset_every, stream_key(seed, RESET_STREAM)),
            buffer=replay.init(population.replay_capacity, transition),
            frames=stacked,
            key=key,
            metrics=interval.init(_with_divisor(metrics, scale)),
            failure=flight_recorder.init(agent, batch, key),
            observation=frame_stack.begin(observation, population.frame_stack),
            action=jnp.zeros((num_envs, *action.shape), action.dtype),
        )

    own = jax.tree.map(lambda x: 0 if jnp.ndim(x) else None, population.hyperparameters)
    carry = jax.vmap(init_member, in_axes=(0, own, 0))(
        population.seeds, population.hyperparameters, observation
    )
    return carry.with_acting(_next_action(carry.agent, carry.acting, uniform=True))


def act(policy: Policy, observation: PyTree, key: jax.Array | None = None) -> jax.Array:
    """`sac.act` on an observation that is not scaled yet."""
    return sac.act(policy.agent, normalize.apply(policy.normalizer, observation), key)


def learn_step(
    carry: Carry,
    result: StepResult,
    work: Work,
    prior: Buffer | tuple[()] = (),
    *,
    batch_size: int,
    prior_rows: int = 0,
    over_seeds: OverSeeds = jax.vmap,
) -> Carry:
    """Inserts what the environments returned, updates, and chooses the next action.

    What is inserted are the returns that this step completes. The action comes from the parameters
    after the last update: nothing is delayed. Each update draws its own batch. Replay holds
    observations and rewards as they came; a batch is scaled when it is drawn, so that what replay
    held before is always on the latest scale.

    Args:
      carry: leading axis S.
      result: (S, E, ...), of the carry's action, its observations not stacked; rows that are not
        valid stay out of replay.
      work: how many updates, and whether to act uniformly.
      prior: transitions from before the run, one ring without a seed axis; () for none.
      batch_size: transitions per update.
      prior_rows: how many of them are drawn from `prior`.
      over_seeds: how a function of one seed runs over the seed axis (`training.seed_axis` decides).
    """
    normalizer = jax.vmap(normalize.update)(carry.normalizer, carry.observation, result.valid)
    carry = insert(carry, result)._replace(normalizer=normalizer)
    carry = _update(carry, work.num_updates, prior, batch_size, prior_rows, over_seeds)
    return carry.with_acting(_next_action(carry.agent, carry.acting, work.uniform))


def act_step(agent: State, acting: Acting, result: StepResult, uniform: Any) -> Acting:
    """`learn_step` without learning, for steps after which nothing is updated.

    What the environments returned is to be inserted before the next update, by `insert`.

    Args:
      agent: leading axis S; `State.acting` is enough.
      acting: of the carry.
      result: as in `learn_step`.
      uniform: bool scalar, as in `Work`.
    """
    normalizer = jax.vmap(normalize.update)(acting.normalizer, acting.observation, result.valid)
    observation = frame_stack.follow(acting.observation, result.observation, result.over)
    acting = acting._replace(normalizer=normalizer, observation=observation)
    return _next_action(agent, acting, uniform)


def insert(carry: Carry, result: StepResult) -> Carry:
    """Inserts what the environments returned, and goes to where they are then.

    Args:
      carry: leading axis S, with the observation from which the action was taken, and that action.
      result: as in `learn_step`.
    """
    next_observation = frame_stack.push(carry.observation, result.next_observation)
    step = Transition(
        carry.observation, carry.action, result.reward, result.discount, next_observation
    )
    stacked, step = jax.vmap(frames.record)(carry.frames, step, result.valid, result.over)
    gamma = carry.agent.hyperparameters.gamma
    window, rows, complete = jax.vmap(n_step.push)(
        carry.window, step, result.valid, result.over, gamma
    )
    buffer = jax.vmap(replay.add)(carry.buffer, rows, complete)
    stacked = jax.vmap(frames.after_insert)(stacked, buffer, complete)
    scale = jax.vmap(return_scale.update)(
        carry.return_scale, result.reward, result.valid, result.over, gamma
    )
    return carry._replace(
        window=window,
        return_scale=scale,
        buffer=buffer,
        frames=stacked,
        observation=frame_stack.follow(carry.observation, result.observation, result.over),
    )


def learn_offline(
    carry: Carry,
    num_updates: Any,
    prior: Buffer,
    *,
    batch_size: int,
    over_seeds: OverSeeds = jax.vmap,
) -> Carry:
    """Updates on prior data alone, between which nothing is done and no action chosen.

    Args:
      carry: leading axis S.
      num_updates: int32 scalar. In how many calls they are made changes no number.
      prior: as in `learn_step`.
      batch_size: transitions per update.
      over_seeds: as in `learn_step`.
    """
    return _update(carry, num_updates, prior, batch_size, batch_size, over_seeds)


def begin_acting(carry: Carry) -> Carry:
    """The carry with an action of the policy in place of the one that it was made with."""
    return carry.with_acting(_next_action(carry.agent, carry.acting, uniform=False))


def restart(carry: Carry, observation: PyTree, over: jax.Array) -> Carry:
    """Goes on elsewhere where episodes were given up, with what waited of them in replay.

    Args:
      carry: leading axis S.
      observation: from where all environments go on, (S, E, ...).
      over: bool (S, E), those that are in another episode there.
    """
    scale = jax.vmap(return_scale.restart)(carry.return_scale, over)
    stacked = jax.vmap(frames.restart)(carry.frames, over)
    if carry.window:
        window, rows, complete = jax.vmap(n_step.cut)(carry.window, over)
        buffer = jax.vmap(replay.add)(carry.buffer, rows, complete)
        stacked = jax.vmap(frames.after_insert)(stacked, buffer, complete)
        carry = carry._replace(window=window, buffer=buffer)
    observation = frame_stack.restart(carry.observation, observation, over)
    return carry._replace(return_scale=scale, frames=stacked, observation=observation)


def _update(
    carry: Carry,
    num_updates: Any,
    prior: Buffer | tuple[()],
    batch_size: int,
    prior_rows: int,
    over_seeds: OverSeeds,
) -> Carry:
    """Updates, each on a batch of its own."""

    def draw(
        buffer: Buffer, stacked: Any, normalizer: Normalizer, scale: Any, key: jax.Array
    ) -> Transition:
        latest = stacked.whole if stacked else None
        batch = mixture.sample(buffer, prior, key, batch_size, prior_rows, latest)
        return scaled(frames.resolve(stacked, batch), normalizer, scale)

    def one_update(_: Any, learner: Any) -> Any:
        agent, key, metrics, failure = learner
        agent = resets.before_update(carry.resets, agent, over_seeds)
        skipped = agent.skipped
        # Members update together: what is due for one is due for all.
        due = is_due(jax.tree.map(lambda x: x[0], agent))
        update = functools.partial(sac.update, actor_due=due)
        key, sample_key, update_key = _split(key, 3)
        batch = jax.vmap(draw)(
            carry.buffer, carry.frames, carry.normalizer, carry.return_scale, sample_key
        )
        agent, latest = over_seeds(update)(agent, batch, update_key)
        latest = jax.vmap(_with_divisor)(latest, carry.return_scale)
        failed = agent.skipped > skipped
        metrics = jax.vmap(interval.add)(metrics, latest, ~failed)
        failure = flight_recorder.record(failure, failed, agent, batch, update_key)
        return agent, key, metrics, failure

    learner = (carry.agent, carry.key, carry.metrics, carry.failure)
    agent, key, metrics, failure = jax.lax.fori_loop(0, num_updates, one_update, learner)
    return carry._replace(agent=agent, key=key, metrics=metrics, failure=failure)


def _next_action(agent: State, acting: Acting, uniform: Any) -> Acting:
    """An action for each of the observations: by the policy, or uniform."""
    key, action_keys = _split(acting.key, 2)
    policy, noise = Policy(agent, acting.normalizer), acting.noise
    if noise:
        action_keys, noise_keys = _split(action_keys, 2)
        noise = jax.vmap(held_noise.advance)(noise, noise_keys)
        act_in_each = jax.vmap(act, in_axes=(None, 0, 0))
        policy_action = jax.vmap(act_in_each)(policy, acting.observation, noise.key)
    else:
        policy_action = jax.vmap(act)(policy, acting.observation, action_keys)
    uniform_action = jax.vmap(
        lambda key: draws.uniform(key, policy_action.shape[1:], policy_action.dtype, -1, 1)
    )(action_keys)
    action = jnp.where(uniform, uniform_action, policy_action)
    return acting._replace(noise=noise, key=key, action=action)


def scaled(batch: Transition, normalizer: Normalizer, scale: ReturnScale | tuple[()]) -> Transition:
    """A batch of one seed as its agent sees it."""
    return batch._replace(
        observation=normalize.apply(normalizer, batch.observation),
        reward=return_scale.apply(scale, batch.reward),
        next_observation=normalize.apply(normalizer, batch.next_observation),
    )


def _with_divisor(metrics: Metrics, scale: ReturnScale | tuple[()]) -> Metrics:
    """The metrics of an update, and what the rewards of its batch were divided by."""
    return Metrics(metrics, reward_divisor=return_scale.divisor(scale)) if scale else metrics


def _split(keys: jax.Array, num: int) -> tuple[jax.Array, ...]:
    """Splits the key of each seed: (S,) -> num × (S,)."""
    return tuple(jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key, num))(keys), 1, 0))
