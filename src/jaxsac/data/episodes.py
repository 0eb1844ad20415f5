"""Where the episodes of a replay are: rows by row, it holds no more than transitions."""

from __future__ import annotations

import jax
import numpy as np

from jaxsac.types import PyTree, Transition


def follow(steps: Transition, num_envs: int) -> list[np.ndarray]:
    """Finds the episodes of transitions that environments have made side by side.

    A row goes on with the episode whose latest row ended, bit for bit, where this one begins, did
    not terminate, and lies at most `num_envs` rows before it, as the same environment's does. So
    episodes that a time limit cut are told apart by the reset, which leads elsewhere; one whose
    reset leads to the very state in which it was cut would be taken for one with the next.

    Args:
      steps: of one step each, NumPy arrays (N, ...), the oldest row first, the environments in
        turn.
      num_envs: how many there were.

    Returns:
      The row numbers of each episode, in order; every row is in one. The first ones may lack their
      beginning, and the last ones have not ended.
    """
    if not len(steps.reward):
        return []
    before, after = _rows(steps.observation), _rows(steps.next_observation)
    goes_on = np.asarray(steps.discount) != 0
    open_episodes: dict[bytes, list[int]] = {}
    episodes: list[list[int]] = []
    for row, start in enumerate(before):
        episode = open_episodes.pop(start, None)
        if episode is None or row - episode[-1] > num_envs:
            episodes.append(episode := [])
        episode.append(row)
        if goes_on[row]:
            open_episodes[after[row]] = episode
    return [np.array(episode) for episode in episodes]


def _rows(tree: PyTree) -> list[bytes]:
    """The bits of each row of a pytree (N, ...)."""
    flat = [
        np.ascontiguousarray(leaf).reshape(len(leaf), -1).view(np.uint8)
        for leaf in jax.tree.leaves(tree)
        if leaf.size
    ]
    return [row.tobytes() for row in np.concatenate(flat, axis=1)]
