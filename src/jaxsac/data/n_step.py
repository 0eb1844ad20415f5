"""n-step returns, assembled before they are stored.

A row of replay is then complete in itself: rows need not know which environment they are of, what
was discarded between them or where the ring begins, and are drawn as ever. What waits for the steps
after it is a window of n - 1 rows for each environment.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxsac.types import PyTree, Spec, Transition


class Window(struct.PyTreeNode):
    """Steps of E environments whose returns still grow, the oldest first."""

    rows: Transition
    """(E, n - 1, ...): each the return of as many steps as there have been since."""
    held: jax.Array
    """bool (E, n - 1): places that are taken, the last ones first."""


def init(n: int, num_envs: int, transition: PyTree) -> Window | tuple[()]:
    """No steps yet; () for n = 1, where nothing waits.

    Args:
      n: steps of a return.
      num_envs: E.
      transition: one unbatched example, arrays or `jax.ShapeDtypeStruct`s.
    """
    if n == 1:
        return ()
    places = (num_envs, n - 1)
    return Window(Spec.of(transition).zeros(*places), jnp.zeros(places, bool))


def push(
    window: Window | tuple[()],
    step: Transition,
    valid: jax.Array,
    over: jax.Array,
    gamma: float | jax.Array,
) -> tuple[Window | tuple[()], Transition, jax.Array]:
    """Takes one step of each environment, and gives out the returns that it completes.

    A return of k steps is the transition

    (s_t, a_t, Σ_{i<k} γ^i r_{t+i}, γ^(k-1) d_{t+k-1}, s_{t+k})

    with k = n, and fewer where the episode ends, by a termination, a time limit or a step that is
    no transition: no step is lost there. Behind a termination d is 0, elsewhere 1. Rewards alone
    are summed, without the entropy of the policy between, and without a correction for actions that
    the policy would no longer take.

    Args:
      window: () gives out the step itself.
      step: (E, ...).
      valid: bool (E,); what is in a step that is not valid has no part in any return.
      over: bool (E,); the next step begins another episode, as after any that is not valid.
      gamma: discount factor, scalar.

    Returns:
      The window; rows (E·n, ...) in the order of their steps within each environment; and the bool
      (E·n,) of those that are complete, the only ones that mean anything.
    """
    if not window:
        return window, step, valid

    def grow(row: Transition, new: Transition, is_valid: jax.Array) -> Transition:
        grown = row._replace(
            reward=row.reward + gamma * row.discount * new.reward,
            discount=gamma * row.discount * new.discount,
            next_observation=new.next_observation,
        )
        return jax.tree.map(lambda x, y: jnp.where(is_valid, x, y), grown, row)

    growing = jax.vmap(jax.vmap(grow, in_axes=(0, None, None)))(window.rows, step, valid)
    rows = jax.tree.map(lambda x, y: jnp.concatenate([x, y[:, None]], axis=1), growing, step)
    held = jnp.concatenate([window.held, valid[:, None]], axis=1)
    is_oldest = jnp.arange(held.shape[1]) == 0
    complete = held & (over[:, None] | is_oldest)
    rest = Window(jax.tree.map(lambda x: x[:, 1:], rows), held[:, 1:] & ~over[:, None])
    return rest, _flat(rows), jnp.ravel(complete)


def cut(window: Window, over: jax.Array) -> tuple[Window, Transition, jax.Array]:
    """Gives out what waits where an episode is over, as `push` does, without a step.

    Args:
      window: of E environments.
      over: bool (E,).

    Returns:
      The window, rows (E·(n - 1), ...), and the bool of those that are given out.
    """
    complete = window.held & over[:, None]
    return window.replace(held=window.held & ~complete), _flat(window.rows), jnp.ravel(complete)


def of_episodes(n: int, steps: Transition, over: np.ndarray, gamma: float) -> Transition:
    """The returns that `push` gives out, of steps that are all there already.

    Args:
      n: steps of a return, fewer where an episode ends.
      steps: NumPy arrays (N, ...), episode after episode.
      over: bool (N,); the next step begins another episode.
      gamma: discount factor.

    Returns:
      As many rows, in the order of the steps that they begin with.
    """
    over = over.copy()
    over[-1] = True
    reward, discount, last = steps.reward.copy(), steps.discount.copy(), np.arange(len(over))
    for _ in range(n - 1):
        grows = np.flatnonzero(~over[last])
        new = last[grows] = last[grows] + 1
        reward[grows] += gamma * discount[grows] * steps.reward[new]
        discount[grows] = gamma * discount[grows] * steps.discount[new]
        # `last` stays on a step that is over: that return grows no more.
    next_observation = jax.tree.map(lambda x: x[last], steps.next_observation)
    return steps._replace(reward=reward, discount=discount, next_observation=next_observation)


def _flat(rows: Transition) -> Transition:
    return jax.tree.map(lambda x: jnp.reshape(x, (-1, *x.shape[2:])), rows)
