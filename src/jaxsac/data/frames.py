"""Stacks of observations in replay, where each observation is stored once.

An observation of a transition is then the numbers of its K frames (`data.frame_stack`), which lie
in a ring beside that of the transitions; a batch that has been drawn gets the frames themselves.
Returns of several steps and the ring of transitions hold numbers as they would hold arrays.

An environment brings a frame with each transition, and one more with the first of an episode. There
is room for those of as many transitions as replay holds if the mean episode has `SHORTEST` steps or
more. With shorter ones the oldest transitions are no longer drawn once their frames are gone.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxsac.data import frame_stack, packing, replay
from jaxsac.data.replay import Buffer
from jaxsac.types import PyTree, Spec, Transition

SHORTEST = 10
"""Steps of a mean episode from which on all transitions of replay keep their frames."""
SPARE = 4
"""Times `Frames.slack`: room for what transitions in the making, and the oldest of replay, show."""


class Frames(struct.PyTreeNode):
    """The frames of one member, and where its environments are among them.

    Frames are numbered as they come, and frame n lies in row n mod the number of rows.
    """

    rows: dict[str, jax.Array]
    """By dtype name: (rows, width)."""
    written: jax.Array
    """Frames so far, int32 scalar."""
    shown: jax.Array
    """Numbers of the frames of each environment's stack, the oldest first, int32 (E, K)."""
    begun: jax.Array
    """bool (E,): the episode has a transition, so that its frames are stored and `shown` holds."""
    whole: jax.Array
    """The latest so many transitions of replay have all of their frames, int32 scalar."""
    spec: Spec = struct.field(pytree_node=False)
    """One frame."""
    slack: int = struct.field(pytree_node=False)
    """Frames by which the first one of a transition may come before that of an older one."""

    @property
    def capacity(self) -> int:
        """Rows that the ring has."""
        return packing.length(self.rows)

    @property
    def spare_bytes(self) -> int:
        """Of the rows that do not depend on the capacity of replay."""
        return (SPARE * self.slack + 1) * sum(
            x.shape[-1] * x.dtype.itemsize for x in self.rows.values()
        )


def init(
    size: int, num_envs: int, capacity: int, observation: PyTree, num_steps: int
) -> Frames | tuple[()]:
    """No frames yet; () for K = 1, where replay holds observations themselves.

    Args:
      size: K.
      num_envs: E.
      capacity: transitions that replay holds.
      observation: structs of one observation as an environment returns it.
      num_steps: of a return.
    """
    if size == 1:
        return ()
    spec = Spec.of(observation)
    slack = 2 * num_envs * (size + num_steps)
    count = capacity + -(-capacity // SHORTEST) + SPARE * slack
    rows = packing.zeros(spec, count)
    none = jnp.zeros((), jnp.int32)
    shown = jnp.zeros((num_envs, size), jnp.int32)
    return Frames(rows, none, shown, jnp.zeros(num_envs, bool), none, spec, slack)


def stored(frames: Frames | tuple[()], transition: Transition) -> Transition:
    """Structs of a transition as replay holds it, by those of one that an agent sees."""
    if not frames:
        return transition
    numbers = jax.ShapeDtypeStruct(frames.shown.shape[-1:], frames.shown.dtype)
    return transition._replace(observation=numbers, next_observation=numbers)


def record(
    frames: Frames | tuple[()], step: Transition, valid: jax.Array, over: jax.Array
) -> tuple[Frames | tuple[()], Transition]:
    """Stores the frames that a step of each environment has brought.

    The first of an episode is stored with its first transition: of steps that are no transitions
    nothing is.

    Args:
      frames: () gives out the step itself.
      step: (E, ...), with stacks.
      valid: bool (E,); what is in a step that is not valid is not stored.
      over: bool (E,); the next step begins another episode, as after any that is not valid.

    Returns:
      The frames, and the step with their numbers in place of stacks; in one that is not valid they
      mean nothing.
    """
    if not frames:
        return frames, step
    first, new = (
        packing.pack(frames.spec, frame_stack.newest(stack, frames.spec.tree))
        for stack in (step.observation, step.next_observation)
    )
    mask = jnp.stack([valid & ~frames.begun, valid], axis=1).ravel()
    number = frames.written + jnp.cumsum(mask, dtype=jnp.int32) - 1
    row = jnp.where(mask, number % frames.capacity, frames.capacity)  # out of range: dropped
    rows = {
        dtype: held.at[row].set(
            jnp.stack([first[dtype], new[dtype]], axis=1).reshape(-1, held.shape[-1]), mode="drop"
        )
        for dtype, held in frames.rows.items()
    }
    number = number.reshape(-1, 2)
    before = jnp.where(frames.begun[:, None], frames.shown, number[:, :1])
    after = jnp.concatenate([before[:, 1:], number[:, 1:]], axis=1)
    frames = frames.replace(
        rows=rows,
        written=frames.written + jnp.sum(mask, dtype=jnp.int32),
        shown=after,
        begun=valid & ~over,
    )
    return frames, step._replace(observation=before, next_observation=after)


def after_insert(
    frames: Frames | tuple[()], buffer: Buffer, complete: jax.Array
) -> Frames | tuple[()]:
    """Counts the transitions whose frames are all there.

    Args:
      frames: of the transitions.
      buffer: that they were just added to.
      complete: bool (N,), how many were.
    """
    if not frames:
        return frames
    oldest = frames.written - frames.capacity + frames.slack

    def has_lost_frames(whole: jax.Array) -> jax.Array:
        row = replay.row(buffer, (buffer.position - whole) % buffer.capacity)
        return (whole > 0) & (row.observation[0] < oldest)

    whole = jnp.minimum(frames.whole + jnp.sum(complete, dtype=jnp.int32), buffer.size)
    return frames.replace(whole=jax.lax.while_loop(has_lost_frames, lambda whole: whole - 1, whole))


def restart(frames: Frames | tuple[()], over: jax.Array) -> Frames | tuple[()]:
    """Begins another episode where `over`, bool (E,)."""
    return frames.replace(begun=frames.begun & ~over) if frames else frames


def resolve(frames: Frames | tuple[()], batch: Transition) -> Transition:
    """A batch with stacks in place of the numbers of their frames."""
    if not frames:
        return batch
    observation, next_observation = (
        stacks(frames.spec, frames.rows, numbers, jnp)
        for numbers in (batch.observation, batch.next_observation)
    )
    return batch._replace(observation=observation, next_observation=next_observation)


def stacks(spec: Spec, rows: dict[str, Any], numbers: Any, xp: Any = np) -> PyTree:
    """The stacks of the frames with these numbers.

    Args:
      spec: of one frame.
      rows: of the ring, by dtype name.
      numbers: (..., K), the oldest first.
      xp: `jax.numpy` inside a compiled program.
    """
    drawn = packing.unpack(
        spec, {dtype: held[numbers % len(held)] for dtype, held in rows.items()}, xp
    )
    axis = numbers.ndim - 1

    def join(x: Any) -> Any:
        beside = xp.moveaxis(x, axis, -2)
        return beside.reshape(*beside.shape[:-2], -1)

    return jax.tree.map(join, drawn)
