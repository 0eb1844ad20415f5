"""ClipAction, which hides the bounds that the policy needs."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.wrappers import ClipAction

from jaxsac.envs.fitness.determinism import layers
from jaxsac.envs.spaces import SpaceError, action_map


def refuse_clipped(env: gymnasium.Env) -> None:
    """Refuses an environment whose actions have no bounds because of ClipAction alone.

    Raises:
      SpaceError: it is one; bounds of one's own, which other refusals ask for, would be others.
    """
    if _is_usable(env.action_space):
        return
    for layer in layers(env):
        if isinstance(layer, ClipAction) and _is_usable(below := layer.env.action_space):
            raise SpaceError(
                f"action space {env.action_space} is unbounded by the wrapper ClipAction alone: "
                f"leave it out, as actions are kept within the bounds of {below}."
            )


def _is_usable(space: gymnasium.Space[Any]) -> bool:
    try:
        action_map(space)
    except SpaceError:
        return False
    return True
