"""One step of learning, for all seeds at once: insert, sample, update, act."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxsac.data import normalize, replay
from jaxsac.data.normalize import Normalizer
from jaxsac.data.replay import Buffer
from jaxsac.sac import agent as sac
from jaxsac.sac.state import Config, Hyperparameters, Metrics, State
from jaxsac.types import PyTree, Spec, Transition, transition_of


class Failure(NamedTuple):
    """The first update of a learner that was not finite: all that is needed to repeat it."""

    agent: State
    """As before the update, which left it as it was."""
    batch: Transition
    key: jax.Array
    """As numbers, `jax.random.key_data`."""


class Policy(NamedTuple):
    """All that it takes to act: an agent, and the scale on which it sees observations."""

    agent: State
    normalizer: Normalizer


class Carry(NamedTuple):
    """Everything that learning carries from step to step; every array has a leading seed axis."""

    agent: State
    normalizer: Normalizer
    """() where observations are used as they are."""
    buffer: Buffer
    key: jax.Array
    metrics: Metrics
    """Of the latest update; zeros before the first."""
    failure: Buffer
    """A ring with room for one `Failure`: packed, so that it costs few arrays."""

    @property
    def policy(self) -> Policy:
        """What acts."""
        return Policy(self.agent, self.normalizer)


class Work(NamedTuple):
    """What a step has to do; the same for all seeds."""

    num_updates: Any
    """int32 scalar."""
    uniform: Any
    """bool scalar: act uniformly (warm-up) instead of by the policy."""


@dataclasses.dataclass(frozen=True)
class Schedule:
    """When to explore and when to update, counted in transitions of one seed."""

    learning_starts: int
    """Transitions collected by uniform actions before the first update."""
    utd: Fraction
    """Updates per transition."""
    update_every: int = 1
    """Transitions between updates; those that are due are then done together."""

    def updates_due(self, transitions: int) -> int:
        """Updates that have to be done once `transitions` have arrived."""
        since_start = max(0, transitions - self.learning_starts)
        return int(self.utd * (since_start - since_start % self.update_every))

    def work(self, before: int, after: int) -> Work:
        """The work of the step in which the count of transitions goes from `before` to `after`."""
        return Work(
            num_updates=self.updates_due(after) - self.updates_due(before),
            uniform=after < self.learning_starts,
        )


def init(
    seeds: jax.Array,
    observation: PyTree,
    action: jax.ShapeDtypeStruct,
    capacity: int,
    config: Config,
    hyperparameters: Hyperparameters,
    batch_size: int,
    normalize_observations: bool = False,
) -> Carry:
    """The carry before the first step.

    Args:
      seeds: (S,) integers; a member's keys derive from its own number alone.
      observation: one unbatched example.
      action: one unbatched action, (A,).
      capacity: transitions that each seed's replay holds.
      config: static structure.
      hyperparameters: each a float that all seeds share, or (S,).
      batch_size: transitions per update.
      normalize_observations: show the agent observations on the scale of those so far.
    """
    transition = transition_of(observation, action)

    def init_member(seed: jax.Array, hyperparameters: Hyperparameters) -> Carry:
        init_key, key = jax.random.split(jax.random.key(seed))
        agent = sac.init(init_key, observation, action, config, hyperparameters)
        batch = Spec.of(transition).zeros(batch_size)
        _, metrics = jax.eval_shape(sac.update, agent, batch, key)
        metrics = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), metrics)
        failure = replay.init(1, Failure(agent, batch, jax.random.key_data(key)))
        normalizer = normalize.init(observation) if normalize_observations else ()
        buffer = replay.init(capacity, transition)
        return Carry(agent, normalizer, buffer, key, metrics, failure)

    own = jax.tree.map(lambda value: 0 if jnp.ndim(value) else None, hyperparameters)
    return jax.vmap(init_member, in_axes=(0, own))(seeds, hyperparameters)


def act(policy: Policy, observation: PyTree, key: jax.Array | None = None) -> jax.Array:
    """`sac.act` on an observation as the environment returned it."""
    return sac.act(policy.agent, normalize.apply(policy.normalizer, observation), key)


def learn_step(
    carry: Carry,
    transition: Transition,
    valid: jax.Array,
    observation: PyTree,
    work: Work,
    *,
    batch_size: int,
    over_seeds: Callable[[Callable[..., Any]], Callable[..., Any]] = jax.vmap,
) -> tuple[Carry, jax.Array]:
    """Inserts what the environments delivered, updates, and chooses the next action.

    The action comes from the parameters after the last update: nothing is delayed. Each update
    draws its own batch. Replay holds observations as they came; a batch is normalized when it is
    drawn, so that what it held before is always on the latest scale.

    Args:
      carry: leading axis S.
      transition: (S, E, ...) as the environments returned it.
      valid: bool (S, E); the other rows stay out of replay.
      observation: (S, E, ...), where the next action is taken.
      work: how many updates, and whether to act uniformly.
      batch_size: transitions per update.
      over_seeds: how a function of one seed runs over the seed axis (`runner.seeds` decides).

    Returns:
      The next carry and the action (S, E, A) in [-1, 1].
    """
    buffer = jax.vmap(replay.add)(carry.buffer, transition, valid)
    normalizer = jax.vmap(normalize.update)(carry.normalizer, transition.observation, valid)

    def one_update(_: Any, learner: Any) -> Any:
        agent, key, _metrics, failure = learner
        skipped = agent.skipped
        key, sample_key, update_key = _split(key, 3)
        batch = jax.vmap(_sample, (0, 0, 0, None))(buffer, normalizer, sample_key, batch_size)
        agent, metrics = over_seeds(sac.update)(agent, batch, update_key)
        first = (agent.skipped > skipped) & (failure.size == 0)
        now = Failure(agent, batch, jax.vmap(jax.random.key_data)(update_key))
        failure = jax.lax.cond(
            jnp.any(first), lambda: _add_rows(failure, now, first), lambda: failure
        )
        return agent, key, metrics, failure

    learner = (carry.agent, carry.key, carry.metrics, carry.failure)
    agent, key, metrics, failure = jax.lax.fori_loop(0, work.num_updates, one_update, learner)
    carry = Carry(agent, normalizer, buffer, key, metrics, failure)
    return next_action(carry, observation, work.uniform)


def next_action(carry: Carry, observation: PyTree, uniform: Any) -> tuple[Carry, jax.Array]:
    """Draws the action (S, E, A) for each observation: by the policy, or uniformly.

    Returns:
      The carry with its key moved on, and the action.
    """
    key, action_key = _split(carry.key, 2)
    policy_action = jax.vmap(act)(carry.policy, observation, action_key)
    uniform_action = jax.vmap(
        lambda k: jax.random.uniform(k, policy_action.shape[1:], policy_action.dtype, -1, 1)
    )(action_key)
    return carry._replace(key=key), jnp.where(uniform, uniform_action, policy_action)


def _sample(buffer: Buffer, normalizer: Normalizer, key: jax.Array, batch_size: int) -> Transition:
    """A batch of one seed as its agent sees it."""
    batch = replay.sample(buffer, key, batch_size)
    return batch._replace(
        observation=normalize.apply(normalizer, batch.observation),
        next_observation=normalize.apply(normalizer, batch.next_observation),
    )


def _add_rows(buffers: Buffer, rows: PyTree, mask: jax.Array) -> Buffer:
    """Appends a row to the rings of those seeds that are marked."""
    one_each = jax.tree.map(lambda leaf: leaf[:, None], rows)
    return jax.vmap(replay.add)(buffers, one_each, mask[:, None])


def _split(keys: jax.Array, num: int) -> tuple[jax.Array, ...]:
    """Splits the key of each seed: (S,) -> num × (S,)."""
    return tuple(jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key, num))(keys), 1, 0))
