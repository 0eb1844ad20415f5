"""Soft Actor-Critic as pure functions: `init`, `act`, `update`, and questions to a state."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxsac.sac import distributions
from jaxsac.sac.checks import (
    check_action,
    check_batch,
    check_hyperparameters,
    check_networks,
    params_of,
)
from jaxsac.sac.gradients import GradientTerms, actor_gradient_terms
from jaxsac.sac.losses import actor_loss, alpha_loss, critic_loss
from jaxsac.sac.networks import Networks, make_networks
from jaxsac.sac.optimize import Step, Steps, adam, minimize
from jaxsac.sac.state import Config, Hyperparameters, Metrics, State
from jaxsac.sac.value_network import add_value_network, learn_value_and_critics
from jaxsac.types import PyTree, Spec, Transition, flatten_batch


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
      ValueError: an action that is not a floating vector, a hyperparameter out of its range, a
        target entropy that no policy on [-1, 1]^A can reach (above A·log 2), or a custom network
        that returns something else than expected.
    """
    observation_spec, action_spec = Spec.of(observation), Spec.of(action)
    check_action(action_spec)
    (size,), dtype = action_spec.tree.shape, action_spec.tree.dtype
    if hyperparameters.target_entropy is None:
        hyperparameters = hyperparameters.replace(
            target_entropy=-config.target_entropy_scale * size
        )
    check_hyperparameters(hyperparameters, size)
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
    nets = make_networks(config, action_spec)
    observation, action = observation_spec.zeros(1), action_spec.zeros(1)
    actor_params = params_of("actor", nets.actor.init(actor_key, observation))
    critic_params = params_of("critic", nets.critic.init(critic_key, observation, action))
    check_networks(nets, actor_params, critic_params, observation_spec, action_spec)
    log_alpha = jnp.log(hyperparameters.initial_alpha)
    state = State(
        actor_params=actor_params,
        critic_params=critic_params,
        target_critic_params=jax.tree.map(jnp.copy, critic_params),
        log_alpha=log_alpha,
        actor_opt_state=adam(hyperparameters.actor_lr).init(actor_params),
        critic_opt_state=adam(hyperparameters.critic_lr).init(critic_params),
        alpha_opt_state=adam(hyperparameters.alpha_lr).init(log_alpha),
        step=jnp.zeros((), jnp.int32),
        skipped=jnp.zeros((), jnp.int32),
        hyperparameters=hyperparameters,
        config=config,
        observation_spec=observation_spec,
        action_spec=action_spec,
    )
    if not config.value_network:
        return state
    # A further key: actor and critics start as they would without the value network.
    return add_value_network(jax.random.fold_in(critic_key, 1), state)


@jax.jit
def act(state: State, observation: PyTree, key: jax.Array | None = None) -> jax.Array:
    """The action for each observation: sampled, or the mode tanh(mean) when `key` is None.

    Args:
      state: the agent.
      observation: pytree of (..., *event) with any leading axes.
      key: PRNG key, or None.

    Returns:
      Actions (..., A) in [-1, 1].
    """
    if key is not None:
        return sample(state, observation, key)[0]
    batch_shape = state.observation_spec.batch_shape("observation", observation)
    action = distributions.mode(_policy(state, observation, batch_shape))
    return jnp.reshape(action, (*batch_shape, action.shape[-1]))


@jax.jit
def sample(state: State, observation: PyTree, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Draws actions (..., A) and their log-probabilities (...), measured in [-1, 1]^A."""
    batch_shape = state.observation_spec.batch_shape("observation", observation)
    policy = _policy(state, observation, batch_shape)
    noise = jax.random.normal(key, policy.mean.shape, policy.mean.dtype)
    action, log_prob = distributions.sample_and_log_prob(noise, policy)
    return jnp.reshape(action, (*batch_shape, action.shape[-1])), jnp.reshape(log_prob, batch_shape)


@jax.jit
def q_values(state: State, observation: PyTree, action: jax.Array) -> jax.Array:
    """Q(s, a) of every critic, (E, ...), for observations and actions with equal leading axes."""
    spec = Spec.of((state.observation_spec.tree, state.action_spec.tree))
    batch_shape = spec.batch_shape("(observation, action)", (observation, action))
    nets = make_networks(state.config, state.action_spec)
    q = nets.q(
        state.critic_params,
        flatten_batch(observation, batch_shape),
        flatten_batch(action, batch_shape),
    )
    return jnp.reshape(q, (q.shape[0], *batch_shape))


@jax.jit
def update(state: State, batch: Transition, key: jax.Array) -> tuple[State, Metrics]:
    """One gradient step on the critics, which moves their targets, then on actor and temperature.

    The actor is trained against the critics just updated, with the temperature from before the
    update (as in the authors' second paper, arXiv:1812.05905, algorithm 1). With
    `Config(value_network=True)` the step is that of their first paper, in `sac.value_network`. When
    a loss or a gradient is not finite, the state comes back as it was, with `skipped` one higher.

    Args:
      state: the agent; not donated.
      batch: transitions with one leading axis (B, ...).
      key: PRNG key for the noise of this update.

    Returns:
      The next state, and the metrics of this update.

    Raises:
      ValueError: a batch of another structure, shape, rank or dtype; raised while tracing.
    """
    batch_size = check_batch(state, batch)
    nets = make_networks(state.config, state.action_spec)
    alpha = jnp.exp(state.log_alpha)
    learn_critics = learn_value_and_critics if state.config.value_network else _learn_critics
    next_action_noise, action_noise = _noise(state, batch_size, key)
    new_state, critic, value = learn_critics(state, nets, alpha, batch, next_action_noise)
    new_state, actor, temperature = _learn_policy(new_state, nets, alpha, batch, action_noise)

    steps = Steps(critic, actor, temperature, value)
    numbers = [x for s in steps if s is not None for x in (s.loss, s.gradient_norm)]
    finite = jnp.all(jnp.isfinite(jnp.stack(numbers)))
    new_state = new_state.replace(step=state.step + 1)
    new_state = jax.tree.map(lambda new, old: jnp.where(finite, new, old), new_state, state)
    new_state = new_state.replace(skipped=state.skipped + ~finite)
    return new_state, _metrics(alpha, steps, new_state.skipped)


def _learn_critics(
    state: State, nets: Networks, alpha: jax.Array, batch: Transition, noise: jax.Array
) -> tuple[State, Step, None]:
    """A step of the critics, and the target critics a little further after them."""
    hyper = state.hyperparameters
    critic = minimize(
        critic_loss, adam(hyper.critic_lr), state.critic_params, state.critic_opt_state,
        nets, state.target_critic_params, state.actor_params, alpha, hyper.gamma, batch, noise,
    )  # fmt: skip
    new_state = state.replace(
        critic_params=critic.params,
        critic_opt_state=critic.opt_state,
        target_critic_params=optax.incremental_update(
            critic.params, state.target_critic_params, hyper.tau
        ),
    )
    return new_state, critic, None


def _learn_policy(
    state: State, nets: Networks, alpha: jax.Array, batch: Transition, noise: jax.Array
) -> tuple[State, Step, Step]:
    """A step of the actor against the critics, and one of the temperature."""
    hyper = state.hyperparameters
    actor = minimize(
        actor_loss, adam(hyper.actor_lr), state.actor_params, state.actor_opt_state,
        nets, state.critic_params, alpha, batch.observation, noise, state.config.actor_gradient,
    )  # fmt: skip
    temperature = minimize(
        alpha_loss, adam(hyper.alpha_lr), state.log_alpha, state.alpha_opt_state,
        actor.info.entropy, hyper.target_entropy, state.config.alpha_loss,
    )  # fmt: skip
    new_state = state.replace(
        actor_params=actor.params,
        actor_opt_state=actor.opt_state,
        log_alpha=temperature.params,
        alpha_opt_state=temperature.opt_state,
    )
    return new_state, actor, temperature


def _metrics(alpha: jax.Array, steps: Steps, skipped: jax.Array) -> Metrics:
    critic, actor, temperature, value = steps
    metrics = Metrics(
        critic_loss=critic.loss,
        actor_loss=actor.loss,
        alpha_loss=temperature.loss,
        alpha=alpha,
        entropy=actor.info.entropy,
        q_mean=critic.info.q_mean,
        target_mean=critic.info.target_mean,
        critic_gradient_norm=critic.gradient_norm,
        actor_gradient_norm=actor.gradient_norm,
        alpha_gradient_norm=temperature.gradient_norm,
        skipped=skipped,
    )
    if value is None:
        return metrics
    return metrics._replace(
        value_loss=value.loss,
        value_mean=value.info.value_mean,
        value_gradient_norm=value.gradient_norm,
    )


@jax.jit
def gradient_terms(state: State, batch: Transition, key: jax.Array) -> GradientTerms:
    """The actor's gradient on a batch, split into score, entropy path and Q path.

    ∇J = α ∇_φ log π_φ(a|s)|_a + (α ∇_a log π_φ(a|s) - ∇_a Q(s, a)) ∇_φ f_φ(ε; s)

    The noise is the one that `update` draws from the same key. `update` differentiates through
    the critics it has just trained, this function through those in `state`.

    Args:
      state: the agent.
      batch: transitions (B, ...).
      key: PRNG key.

    Returns:
      Four pytrees shaped like the actor's parameters, gradients of a loss to be minimized, means
      over the batch and over the `actor_samples` of each state.

    Raises:
      ValueError: as `update`.
    """
    _, action_noise = _noise(state, check_batch(state, batch), key)
    return actor_gradient_terms(
        state.actor_params,
        make_networks(state.config, state.action_spec),
        state.critic_params,
        jnp.exp(state.log_alpha),
        batch.observation,
        action_noise,
    )


def _policy(
    state: State, observation: PyTree, batch_shape: tuple[int, ...]
) -> distributions.TanhNormal:
    nets = make_networks(state.config, state.action_spec)
    return nets.policy(state.actor_params, flatten_batch(observation, batch_shape))


def _noise(state: State, batch_size: int, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Standard normal noise for the action in the target, (B, A), and the actor's, (K, B, A)."""
    struct, num_samples = state.action_spec.tree, state.config.actor_samples
    # One draw: on a CPU the generator costs more to start than to run.
    noise = jax.random.normal(key, (1 + num_samples, batch_size, *struct.shape), struct.dtype)
    return noise[0], noise[1:]
