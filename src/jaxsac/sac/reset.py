"""A fresh agent in the place of one that has learned."""

from __future__ import annotations

import jax

from jaxsac.sac.agent import init
from jaxsac.sac.state import State


def reset(state: State, key: jax.Array) -> State:
    """The agent of `init` with this key, and the hyperparameters and counters of `state`.

    Networks, targets, optimizers and the temperature start anew, as SAC does in Nikishin et al.
    2022 (The Primacy Bias in Deep Reinforcement Learning, arXiv:2205.07802), to lose what early
    data has made of them.

    Args:
      state: the agent; nothing that it learned is kept.
      key: PRNG key for the initial parameters.
    """
    observation, action = state.observation_spec.tree, state.action_spec.tree
    fresh = init(key, observation, action, state.config, state.hyperparameters)
    return fresh.replace(step=state.step, skipped=state.skipped)
