"""What training needs to know of the members that learn together, and no more of their run."""

from __future__ import annotations

from typing import Any

import jax
from flax import struct

from jaxsac.data.return_scale import RewardScaleName
from jaxsac.envs.options import EnvOptions
from jaxsac.sac.config import Config, Hyperparameters
from jaxsac.training.schedule import Schedule

# First words of the seeds from which a member's environments draw their start states, and the word
# for the agents that start anew.
TRAINING_STREAM, EVALUATION_STREAM, RESET_STREAM, INSPECTION_STREAM = range(4)

# What is folded in for each of them. Not 0 or 1: with these `fold_in` makes the two keys that
# `split` makes, by which a learner begins and goes on.
FOLDED_IN = {TRAINING_STREAM: 4, EVALUATION_STREAM: 2, RESET_STREAM: 3, INSPECTION_STREAM: 5}


def stream_key(seed: jax.Array, stream: int) -> jax.Array:
    """A key of a member, apart from those of its learner and of its other streams."""
    return jax.random.fold_in(jax.random.key(seed), FOLDED_IN[stream])


@jax.jit
def evaluation_keys(seeds: jax.Array, step: int) -> jax.Array:
    """The key of each member, (S,), for an evaluation after so many steps."""

    def key_of(seed: jax.Array) -> jax.Array:
        return jax.random.fold_in(stream_key(seed, EVALUATION_STREAM), step)

    return jax.vmap(key_of)(seeds)


class Population(struct.PyTreeNode):
    """S members, each by its seed and its hyperparameters; all else they share."""

    seeds: Any
    """(S,) integers; a member's keys derive from its own number alone."""
    hyperparameters: Hyperparameters
    """Each a float that all members share, or (S,)."""
    labels: tuple[str, ...] = struct.field(pytree_node=False)
    """What each member is called for a person."""
    env: str = struct.field(pytree_node=False)
    """Id of the environment."""
    env_options: EnvOptions = struct.field(pytree_node=False)
    """How it is made, beside its id."""
    eval_episodes: int = struct.field(pytree_node=False)
    """Episodes of one evaluation, for each member; 0: there is none."""
    eval_envs: int | None = struct.field(pytree_node=False)
    """Copies of an environment on the host to evaluate each member in; 0: those that train; None:
    one for each episode, as far as they can be made."""
    env_timeout: float = struct.field(pytree_node=False)
    """Seconds that one reset or step of one environment may take; 0: no limit."""
    env_workers: int = struct.field(pytree_node=False)
    """Processes that step the copies of an environment on the host; 0: this one alone."""
    num_envs: int = struct.field(pytree_node=False)
    """E, environments of each member."""
    agent: Config = struct.field(pytree_node=False)
    schedule: Schedule = struct.field(pytree_node=False)
    batch_size: int = struct.field(pytree_node=False)
    """Transitions per update."""
    replay_capacity: int = struct.field(pytree_node=False)
    """Transitions that the replay of each member holds."""
    prior_data: str | None = struct.field(pytree_node=False)
    """Where transitions from before the run are read from; None: there are none."""
    prior_rows: int = struct.field(pytree_node=False)
    """How many of a batch's transitions are of those."""
    frame_stack: int = struct.field(pytree_node=False)
    """Observations that the agents see at once."""
    normalize_observations: bool = struct.field(pytree_node=False)
    """Show the agents observations on the scale of those so far."""
    n_step: int = struct.field(pytree_node=False)
    """Steps of a return."""
    reward_scale: RewardScaleName = struct.field(pytree_node=False)
    """Show the agents rewards on the scale of the returns so far."""
    reward_scale_bound: float = struct.field(pytree_node=False)
    """What a return comes to at most by the scale `return_bound`."""
    noise_hold: int = struct.field(pytree_node=False)
    """Actions that one noise of exploration is for at most."""
    reset_every: int = struct.field(pytree_node=False)
    """Updates after which the agents start anew; 0: never."""

    @property
    def size(self) -> int:
        """S, the number of members."""
        return len(self.seeds)

    @property
    def learners(self) -> Population:
        """The same members without their names, environments and schedule.

        `learner.init` does not read those, so that runs which differ in them share a program.
        """
        return self.replace(
            labels=(), env="", env_options=EnvOptions(), eval_episodes=0, eval_envs=None,
            env_timeout=0.0, env_workers=0, schedule=None, prior_data=None, prior_rows=0,
        )  # fmt: skip
