"""MuJoCo's steps in time by Warp, which is MJX's implementation for NVIDIA cards.

It steps all robots of a program in the same kernels, in single precision. The ant's contacts are
those of MuJoCo 3, whose friction differs from that of MuJoCo 4; the other robots are the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import warp  # pyright: ignore[reportMissingImports]
from mujoco import mjx

from jaxsac.envs.in_jax.mujoco_steps import Motion, in_motion
from jaxsac.types import PyTree


def simulator(model: Any, num_steps: int) -> Callable[[Motion, jax.Array], Motion]:
    """A function that holds controls (A,) for some steps of a robot; under `vmap`, of many.

    Args:
      model: a `mujoco.MjModel`, as for `mujoco_steps.simulator`.
      num_steps: steps of the simulator to one action.
    """
    warp.config.log_level = warp.LOG_WARNING  # or there is a line for each of a hundred kernels
    warp_model: mjx.Model = jax.device_get(mjx.put_model(model, impl="warp"))
    # What MJX in JAX makes room for is all that there can be.
    room: Any = mjx.make_data(model, impl="jax")._impl
    contacts, constraints = int(room.ncon), int(room.nefc)

    @functools.cache
    def data_of(count: int) -> mjx.Data:
        # Contacts of all robots share one array, so it has to be known how many they are.
        data = mjx.make_data(model, impl="warp", naconmax=count * contacts, njmax=constraints)
        return jax.device_get(data)

    @jax.custom_batching.custom_vmap
    def simulate(motion: Motion, control: jax.Array) -> Motion:
        """Of many robots, (N, ...)."""
        with jax.ensure_compile_time_eval():
            data = data_of(len(control))

        def simulate_one(motion: Motion, control: jax.Array) -> Motion:
            own = data.replace(ctrl=control)
            return jax.lax.fori_loop(
                0, num_steps, lambda _, motion: _step(warp_model, own, motion), motion
            )

        return jax.vmap(simulate_one)(motion, control)

    @simulate.def_vmap
    def simulate_groups(  # pyright: ignore[reportUnusedFunction]
        count: int, is_batched: PyTree, motion: Motion, control: jax.Array
    ) -> tuple[Motion, PyTree]:
        """Of groups of robots, (M, N, ...): of M·N robots."""
        groups = jax.tree.map(
            lambda x, batched: x if batched else jnp.broadcast_to(x, (count, *x.shape)),
            (motion, control),
            tuple(is_batched),
        )
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), groups)
        after = jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:]), simulate(*flat))
        return after, jax.tree.map(lambda _: True, after)

    def simulate_one(motion: Motion, control: jax.Array) -> Motion:
        group = jax.tree.map(lambda x: x[None], (motion, control))
        return jax.tree.map(lambda x: x[0], simulate(*group))

    return simulate_one


def _step(model: mjx.Model, data: mjx.Data, motion: Motion) -> Motion:
    after = mjx.step(model, in_motion(data, motion))
    probed = motion.qpos
    if len(motion.qpos) > len(motion.qvel):  # a free body is where it is said to be
        probed = probed.at[:3].set(after.xpos[1])
    return Motion(after.qpos, after.qvel, after.qacc_warmstart, probed)
