"""Soft Actor-Critic as pure functions: `init`, `act`, `sample`, `update`."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jaxsac import draws
from jaxsac.sac import apply, critics, distributions, policy, randomness, value_network
from jaxsac.sac.checks import (
    check_batch_shapes,
    check_examples,
    check_hyperparameters,
    check_images,
    check_settings,
    check_state,
)
from jaxsac.sac.config import Config, Hyperparameters
from jaxsac.sac.encoders import lend
from jaxsac.sac.network_checks import check_networks
from jaxsac.sac.networks import make_networks
from jaxsac.sac.optimize import make_optimizer
from jaxsac.sac.state import Metrics, State
from jaxsac.types import PyTree, Spec, Transition, check_key, flatten_batch


def init(
    key: jax.Array,
    observation: PyTree,
    action: Any,
    config: Config = Config(),
    hyperparameters: Hyperparameters = Hyperparameters(),
) -> State:
    """A fresh agent.

    Args:
      key: PRNG key for the initial parameters.
      observation: one unbatched example: a pytree of arrays or `jax.ShapeDtypeStruct`s.
      action: one unbatched example, (A,). Its dtype is the precision of the whole agent.
      config: static structure.
      hyperparameters: floats or scalar arrays.

    Returns:
      A state that shares no buffer with its arguments, so it can be donated.

    Raises:
      TypeError: a key that is none, a space of an environment or a string in place of an example,
        settings in place of others, or a hyperparameter that is not one number.
      ValueError: no observation, an action that is not a floating vector, a hyperparameter out of
        its range, a target entropy that no policy on [-1, 1]^A can reach (above A·log 2), or a
        custom network that returns something else than expected.
    """
    check_key(key)
    check_settings(config, hyperparameters)
    observation_spec = Spec.of(observation, "observation")
    action_spec = Spec.of(action, "action")
    check_examples(observation_spec, action_spec)
    (size,), dtype = action_spec.tree.shape, action_spec.tree.dtype
    if hyperparameters.target_entropy is None:
        hyperparameters = hyperparameters.replace(
            target_entropy=-config.target_entropy_scale * size
        )
    check_hyperparameters(hyperparameters, size, config)
    check_images(config, observation_spec)
    hyperparameters = jax.tree.map(lambda x: jnp.array(x, dtype), hyperparameters)
    return _init(key, hyperparameters, config, observation_spec, action_spec)


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _init(
    key: jax.Array,
    hyperparameters: Hyperparameters,
    config: Config,
    observation_spec: Spec,
    action_spec: Spec,
) -> State:
    actor_key, critic_key = jax.random.split(key)
    networks = make_networks(config, action_spec)
    observation, action = observation_spec.zeros(1), action_spec.zeros(1)
    actor = make_optimizer("actor", config, hyperparameters).start(
        apply.init(networks.actor, actor_key, observation)
    )
    critic = make_optimizer("critic", config, hyperparameters).start(
        apply.init(networks.critic, critic_key, observation, action)
    )
    temperature = make_optimizer("alpha", config, hyperparameters).start(
        {"params": jnp.log(hyperparameters.initial_alpha)}
    )
    if config.actor is not None or config.critic is not None:
        check_networks(networks, actor, critic, observation_spec, action_spec)
    zero = jnp.zeros((), jnp.int32)
    state = State(
        actor, critic, temperature, zero, jnp.copy(zero), hyperparameters,
        config, observation_spec, action_spec,
    )  # fmt: skip
    # A further key: actor and critics start alike, whatever is beside them.
    critic = critics_of(config).init(state, jax.random.fold_in(critic_key, 1))
    return state.replace(critic=critic, actor=lend(actor, critic.params))


@jax.jit
def act(state: State, observation: PyTree, key: jax.Array | None = None) -> jax.Array:
    """The action for each observation: sampled, or the mode tanh(mean) when `key` is None.

    Args:
      state: the agent.
      observation: pytree of (..., *event) with any leading axes.
      key: PRNG key, or None.

    Returns:
      Actions (..., A) in [-1, 1].

    Raises:
      TypeError: what is no agent, or no key.
      ValueError: several agents in one state, or observations of another structure or shape.
    """
    check_state(state)
    if key is not None:
        return sample(state, observation, key)[0]
    batch_shape = state.observation_spec.batch_shape("observation", observation)
    action = distributions.mode(_policy(state, observation, batch_shape))
    return jnp.reshape(action, (*batch_shape, action.shape[-1]))


@jax.jit
def sample(state: State, observation: PyTree, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Draws an action for each observation, and measures its log-probability in [-1, 1]^A.

    Args, errors: as `act`, with a key.

    Returns:
      Actions (..., A) in [-1, 1], and their log-probabilities (...).
    """
    check_state(state)
    check_key(key)
    batch_shape = state.observation_spec.batch_shape("observation", observation)
    distribution = _policy(state, observation, batch_shape)
    noise = draws.normal(key, distribution.mean.shape, distribution.mean.dtype)
    action, log_prob = distributions.sample_and_log_prob(noise, distribution)
    return jnp.reshape(action, (*batch_shape, action.shape[-1])), jnp.reshape(log_prob, batch_shape)


@jax.jit
def update(
    state: State,
    batch: Transition,
    key: jax.Array,
    weight: jax.Array | None = None,
    actor_due: jax.Array | None = None,
) -> tuple[State, Metrics]:
    """One gradient step on the critics, which moves their targets, then on actor and temperature.

    The actor is trained against the critics just updated, with the temperature from before the
    update (as in the authors' second paper, arXiv:1812.05905, algorithm 1); with the order
    "actor_first" it comes before them. With `Config(value_network=True)` the step is that of their
    first paper, in `sac.value_network`. When a loss, a gradient or batch statistics are not finite,
    the state comes back as it was, with `skipped` one higher.

    Args:
      state: the agent; not donated.
      batch: transitions with one leading axis (B, ...).
      key: PRNG key for the noise of this update.
      weight: of each transition in the critics' loss, (B,), such as the importance weights of a
        prioritized replay; 1 by default.
      actor_due: whether actor and temperature take their step, bool (); by default in every
        `actor_every`-th update of the state. Under `vmap` that default is another bool for each
        agent, and both cases are computed for all of them; one bool for all is not. The metrics of
        a step that is not due are NaN.

    Returns:
      The next state, and the metrics of this update.

    Raises:
      TypeError: what is no agent, no transitions or no key; raised while tracing, as the other.
      ValueError: a batch of another structure, shape, rank or dtype.
    """
    check_batch_shapes(state, batch, weight, actor_due)
    check_key(key)
    networks = make_networks(state.config, state.action_spec)
    batch, random = randomness.draw(state, batch, key)
    due = policy.is_due(state) if actor_due is None else actor_due
    steps = (critics_of(state.config).learn, functools.partial(policy.learn, due=due))
    if state.config.order == "actor_first":
        steps = steps[::-1]

    new_state, metrics = state, Metrics(alpha=state.alpha)
    for learn in steps:
        new_state, info = learn(new_state, networks, batch, random, weight)
        metrics = Metrics(metrics, **info)
    finite = jnp.all(jnp.isfinite(jnp.stack(list(metrics.values()))))
    for learned in jax.tree.leaves((new_state.actor.carried, new_state.critic.carried)):
        finite &= jnp.all(jnp.isfinite(learned))
    new_state = new_state.replace(step=state.step + 1)
    new_state = jax.tree.map(lambda new, old: jnp.where(finite, new, old), new_state, state)
    new_state = new_state.replace(skipped=state.skipped + ~finite)
    metrics = policy.without_rest(metrics, due)
    return new_state, Metrics(metrics, skipped=new_state.skipped)


def critics_of(config: Config) -> Any:
    """The module of the critics and what they bootstrap from: `init`, `learn`, `td_errors`."""
    return value_network if config.value_network else critics


def _policy(
    state: State, observation: PyTree, batch_shape: tuple[int, ...]
) -> distributions.TanhNormal:
    networks = make_networks(state.config, state.action_spec)
    return networks.policy(state.actor.variables, flatten_batch(observation, batch_shape))
