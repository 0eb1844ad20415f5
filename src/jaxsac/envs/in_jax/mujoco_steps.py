"""MuJoCo's steps in time, with MJX for the forces.

MJX 3.17 differs from MuJoCo 4 in how it turns bodies and in the contacts of upright capsules; there
MuJoCo is followed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from mujoco import mjx

PLANE, CAPSULE = int(mjx.GeomType.PLANE), int(mjx.GeomType.CAPSULE)


class Motion(NamedTuple):
    """A robot in motion; all else that a simulator knows of it follows from this."""

    qpos: jax.Array
    qvel: jax.Array
    warmstart: jax.Array
    """Accelerations that the search for the next contact forces starts from."""
    probed: jax.Array
    """Position that the forces were last computed at, which is where the bodies are said to be."""


def simulator(model: Any, num_steps: int) -> Callable[[Motion, jax.Array], Motion]:
    """A function that holds controls (A,) for some steps of a robot.

    Args:
      model: a `mujoco.MjModel` of hinges and slides, and perhaps a free joint as the first.
      num_steps: steps of the simulator to one action.
    """
    # Kept as NumPy arrays: constants of whatever program they are used in, on any devices.
    constants = jax.device_get((mjx.put_model(model, impl="jax"), mjx.make_data(model, impl="jax")))

    def simulate(motion: Motion, control: jax.Array) -> Motion:
        mjx_model, data = jax.tree.map(jnp.asarray, constants)
        data = data.replace(ctrl=control)
        return jax.lax.fori_loop(
            0, num_steps, lambda _, motion: step(mjx_model, data, motion), motion
        )

    return simulate


def step(model: mjx.Model, data: mjx.Data, motion: Motion) -> Motion:
    """One step of `model.opt.timestep`, by the integrator that the model asks for.

    Args:
      model: hinges and slides, and perhaps a free joint as the first.
      data: holds the controls.
      motion: before the step.
    """
    if model.opt.integrator == mjx.IntegratorType.RK4:
        return _runge_kutta(model, data, motion)
    after = mjx.step(model, in_motion(data, motion))
    return Motion(after.qpos, after.qvel, after.qacc_warmstart, motion.qpos)


def _runge_kutta(model: mjx.Model, data: mjx.Data, motion: Motion) -> Motion:
    """MuJoCo 4's Runge-Kutta of the fourth order, which turns bodies as Munthe-Kaas does.

    MJX has one too, without that correction. A loop over the stages also compiles four times faster
    than the four of them in a row.
    """
    qpos, qvel, warmstart, _ = motion
    seconds = model.opt.timestep
    reach, weight = jnp.array([0.5, 0.5, 1, 0]), jnp.array([1, 2, 2, 1]) / 6

    def stage(number: jax.Array, value: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        way, velocity, _, _, mean_velocity, mean_acceleration = value
        probed = _move(qpos, way)
        at = in_motion(data, Motion(probed, velocity, warmstart, probed))
        acceleration = _acceleration(model, at)
        rate = _rate_of_way(way, velocity, free=len(qpos) > len(qvel))
        mean_velocity += weight[number] * rate
        mean_acceleration += weight[number] * acceleration
        ahead = reach[number] * seconds
        return (
            ahead * rate, qvel + ahead * acceleration, acceleration, probed,
            mean_velocity, mean_acceleration,
        )  # fmt: skip

    none = jnp.zeros_like(qvel)
    start = (none, qvel, none, qpos, none, none)
    *_, acceleration, probed, mean_velocity, mean_acceleration = jax.lax.fori_loop(
        0, 4, stage, start
    )
    return Motion(
        _move(qpos, seconds * mean_velocity),
        qvel + seconds * mean_acceleration,
        acceleration,
        probed,
    )


def _acceleration(model: mjx.Model, data: mjx.Data) -> jax.Array:
    """`mjx.forward`, with the contacts of upright capsules as MuJoCo has them."""
    data = mjx.fwd_position(model, data)
    data = mjx.make_constraint(model, _align_contacts(model, data))
    data = mjx.fwd_acceleration(model, mjx.fwd_actuation(model, mjx.fwd_velocity(model, data)))
    return mjx.solve(model, data).qacc


def _align_contacts(model: mjx.Model, data: Any) -> Any:
    """Lays the first tangent of a capsule on a plane along the capsule, however steep it stands.

    MJX does so only for those that lean by 30° or more. It matters because MuJoCo's friction cone
    is a pyramid, whose edges are where the tangents are.
    """
    contact = data._impl.contact
    first, second = contact.geom.T
    kinds = jnp.asarray(model.geom_type)
    capsule = (kinds[first] == PLANE) & (kinds[second] == CAPSULE)
    normal, axis = contact.frame[:, 0], data.geom_xmat[second, :, 2]
    along = axis - normal * jnp.sum(normal * axis, axis=1, keepdims=True)
    length = jnp.sqrt(jnp.sum(along**2, axis=1, keepdims=True))
    along = along / jnp.where(length > 0, length, 1)
    frame = jnp.stack([normal, along, jnp.cross(normal, along)], axis=1)
    aligned = (capsule & (length[:, 0] > 0))[:, None, None]
    frame = jnp.where(aligned, frame, contact.frame)
    return data.tree_replace({"_impl.contact.frame": frame})


def in_motion(data: mjx.Data, motion: Motion) -> mjx.Data:
    """The data of a robot in that motion."""
    return data.replace(qpos=motion.qpos, qvel=motion.qvel, qacc_warmstart=motion.warmstart)


def _move(qpos: jax.Array, way: jax.Array) -> jax.Array:
    """The position after a way in the units of a velocity, times a second."""
    if len(qpos) == len(way):
        return qpos + way
    turned = _turn(qpos[3:7], way[3:6])
    return jnp.concatenate([qpos[:3] + way[:3], turned, qpos[7:] + way[6:]])


def _turn(quaternion: jax.Array, rotation: jax.Array) -> jax.Array:
    """The unit quaternion after a rotation vector in the body's own frame."""
    angle = jnp.sqrt(jnp.sum(rotation**2))
    # sin(angle / 2) / angle, also at 0.
    scalar, vector = jnp.cos(angle / 2), rotation * jnp.sinc(angle / (2 * math.pi)) / 2
    w, v = quaternion[0], quaternion[1:]
    turned = w * vector + scalar * v + jnp.cross(v, vector)
    product = jnp.concatenate([(w * scalar - v @ vector)[None], turned])
    return product / jnp.sqrt(jnp.sum(product**2))


def _rate_of_way(way: jax.Array, velocity: jax.Array, free: bool) -> jax.Array:
    """How the way grows at a velocity: as the velocity, but for rotations already under way."""
    if not free:
        return velocity
    rotation, spin = way[3:6], velocity[3:6]
    across = jnp.cross(rotation, spin)
    spin = spin + across / 2 + jnp.cross(rotation, across) / 12
    return velocity.at[3:6].set(spin)
