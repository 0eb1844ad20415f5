"""Gymnasium's MuJoCo robots in JAX: its own XML, simulated by MJX.

Rewards, terminations, observations and starts are those of Gymnasium's v4 with its default
arguments. In double precision 30 steps end within 1e-7 of those of MuJoCo in C; in single precision
one step differs by rounding, and a longer way by what the contacts make of that.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from flax import struct
from gymnasium.spaces import Box

from jaxsac.envs.in_jax import mujoco_steps
from jaxsac.envs.in_jax.mujoco_steps import Motion
from jaxsac.envs.spaces import action_map

ASSETS = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets"


class Task(NamedTuple):
    """What a robot is paid for, sees, and starts from."""

    xml: str
    frame_skip: int
    """Steps of the simulator to one action."""
    control_cost: float
    """Times the sum of the squared controls."""
    healthy_reward: float
    """Of every step, the one in which the robot falls included."""
    start_noise: float
    """Half-width of the uniform noise in the first position; also the scale of the velocity's."""
    normal_velocity: bool
    """Whether the noise of the first velocity is normal, and not uniform."""
    hidden: int
    """Leading coordinates of the position that are not observed."""
    velocity_bound: float = np.inf
    """Observed velocities are clipped to it."""
    is_healthy: Callable[[jax.Array, jax.Array], jax.Array] | None = None
    """Of position and velocity; the episode terminates where it is False."""


def _hopper_stands(qpos: jax.Array, qvel: jax.Array) -> jax.Array:
    bounded = (jnp.abs(jnp.concatenate([qpos[2:], qvel])) < 100).all()
    return bounded & (qpos[1] > 0.7) & (jnp.abs(qpos[2]) < 0.2)


def _walker_stands(qpos: jax.Array, qvel: jax.Array) -> jax.Array:
    del qvel
    return (qpos[1] > 0.8) & (qpos[1] < 2) & (jnp.abs(qpos[2]) < 1)


def _ant_stands(qpos: jax.Array, qvel: jax.Array) -> jax.Array:
    finite = jnp.isfinite(qpos).all() & jnp.isfinite(qvel).all()
    return finite & (qpos[2] >= 0.2) & (qpos[2] <= 1)


TASKS = {
    "HalfCheetah-v4": Task("half_cheetah.xml", 5, 0.1, 0.0, 0.1, True, 1),
    "Hopper-v4": Task("hopper.xml", 4, 1e-3, 1.0, 5e-3, False, 1, 10.0, _hopper_stands),
    "Walker2d-v4": Task("walker2d.xml", 4, 1e-3, 1.0, 5e-3, False, 1, 10.0, _walker_stands),
    "Ant-v4": Task("ant.xml", 5, 0.5, 1.0, 0.1, True, 2, is_healthy=_ant_stands),
}


def implementation(impl: str, name: str) -> str:
    """MJX's implementation that simulates a robot here, "jax" or "warp".

    "auto" is Warp on a card of NVIDIA that has it, where it is several times as quick
    (experiments/accelerator); but for the ant, which it simulates otherwise.

    Raises:
      ValueError: an `impl` that there is not, or that cannot compute here.
    """
    single = jax.dtypes.canonicalize_dtype(np.float64) == np.float32
    if impl == "auto":
        there = _is_one_card_of_nvidia() and importlib.util.find_spec("warp") is not None and single
        return "warp" if there and name != "Ant-v4" else "jax"
    if impl not in ("jax", "warp"):
        raise ValueError(f"impl must be 'auto', 'jax' or 'warp', got {impl!r}.")
    if impl == "warp" and not single:
        raise ValueError("impl 'warp' computes in single precision: leave jax_enable_x64 off.")
    return impl


def _is_one_card_of_nvidia() -> bool:
    """Whether JAX computes on one; on several Warp was not tried."""
    try:
        return jax.default_backend() == "gpu" and len(jax.local_devices(backend="cuda")) == 1
    except RuntimeError:  # another maker's
        return False


def _simulator(impl: str, model: Any, num_steps: int) -> Callable[[Motion, jax.Array], Motion]:
    if impl == "jax":
        return mujoco_steps.simulator(model, num_steps)
    from jaxsac.envs.in_jax import mujoco_warp

    return mujoco_warp.simulator(model, num_steps)


class State(struct.PyTreeNode):
    """A robot in mid-episode."""

    motion: Motion
    observation: jax.Array
    reward: jax.Array
    terminated: jax.Array


class Robot:
    """A robot that is to move in the direction of x, by the name of its Gymnasium environment."""

    def __init__(self, name: str, time_limit: int = 1000, impl: str = "auto") -> None:
        """Loads the robot.

        Args:
          name: of a task.
          time_limit: steps of an episode.
          impl: MJX's implementation: "jax", "warp", or "auto", as for `implementation`.

        Raises:
          ValueError: as `implementation`.
          ModuleNotFoundError: "warp" without its package.
        """
        self.task, self.time_limit = TASKS[name], time_limit
        model: Any = mujoco.MjModel.from_xml_path(  # pyright: ignore[reportAttributeAccessIssue]
            str(ASSETS / self.task.xml)
        )
        self._seconds = model.opt.timestep * self.task.frame_skip
        self._simulate = _simulator(implementation(impl, name), model, self.task.frame_skip)
        dtype = jax.dtypes.canonicalize_dtype(np.float64)
        self._rest: Any = np.asarray(model.qpos0, dtype)
        size = model.nq - self.task.hidden + model.nv
        self.observation = jax.ShapeDtypeStruct((size,), dtype)
        self.action = jax.ShapeDtypeStruct((model.nu,), dtype)
        self._velocity = jax.ShapeDtypeStruct((model.nv,), dtype)
        self._action_map = action_map(Box(*model.actuator_ctrlrange.T, dtype=np.float64))

    def reset(self, key: jax.Array) -> State:
        """The XML's pose at rest, both with noise."""
        task, dtype = self.task, self.action.dtype
        position_key, velocity_key = jax.random.split(key)
        uniform = functools.partial(jax.random.uniform, minval=-1, maxval=1)
        noise = jax.random.normal if task.normal_velocity else uniform
        qpos = self._rest + task.start_noise * uniform(position_key, self._rest.shape, dtype)
        qvel = task.start_noise * noise(velocity_key, self._velocity.shape, dtype)
        motion = Motion(qpos, qvel, jnp.zeros_like(qvel), qpos)
        return self._state(motion, jnp.zeros((), dtype))

    def step(self, state: State, action: jax.Array) -> State:
        """Holds the controls for `frame_skip` steps; pays for the way and takes for the effort."""
        task = self.task
        control = self._action_map.in_jax(action).astype(self.action.dtype)
        motion = self._simulate(state.motion, control)
        way = self._x(motion) - self._x(state.motion)
        cost = task.control_cost * jnp.sum(control**2)
        reward = way / self._seconds + task.healthy_reward - cost
        return self._state(motion, reward)

    def _x(self, motion: Motion) -> jax.Array:
        # Of the ant Gymnasium reads where the body is said to be, of the others the joint.
        return motion.probed[0] if self.task.xml == "ant.xml" else motion.qpos[0]

    def _state(self, motion: Motion, reward: jax.Array) -> State:
        task, qpos, qvel = self.task, motion.qpos, motion.qvel
        velocity = jnp.clip(qvel, -task.velocity_bound, task.velocity_bound)
        healthy = task.is_healthy(qpos, qvel) if task.is_healthy else jnp.ones((), bool)
        return State(
            motion=motion,
            observation=jnp.concatenate([qpos[task.hidden :], velocity]),
            reward=reward,
            terminated=~healthy,
        )
