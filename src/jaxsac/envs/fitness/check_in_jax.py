"""Whether an environment in JAX is fit for learning: by random actions, in one compiled program."""

from __future__ import annotations

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsac import draws
from jaxsac.envs.fitness.check import check_reward_scale, check_speed
from jaxsac.envs.in_jax import device
from jaxsac.envs.in_jax.device import Environment, EnvState
from jaxsac.envs.in_jax.purity import impurity
from jaxsac.types import Finding, Spec, is_whole, same_bits

STEPS, COPIES = 100, 16
STRUCT = "jax.ShapeDtypeStruct((2,), jax.numpy.float32), say"


def check(env: Environment) -> list[Finding]:
    """All checks of an environment in JAX."""
    functions = check_structs(env)
    if functions.verdict == "bad":
        return [functions]
    walk = jax.jit(functools.partial(_walk, env))
    once = jax.device_get(walk(jax.random.key(0)))
    start = time.perf_counter()
    again = jax.device_get(walk(jax.random.key(0)))
    speed = STEPS * COPIES / (time.perf_counter() - start)
    rewards, valid, ended, first = once
    return [
        functions,
        check_finite(valid),
        check_repeats(same_bits(once, again), first),
        check_episodes(env, ended),
        check_reward_scale(rewards[valid]),
        check_speed(speed),
    ]


def check_structs(env: Environment) -> Finding:
    """Whether `reset` and `step` are pure, and return what the environment says."""
    try:
        bad = contradiction(env) or impurity(env)
    except Exception as error:
        bad = f"{type(error).__name__}: {error}"
    if bad:
        return Finding("functions", "bad", bad)
    shown = f"observations {_shown(env.observation)}, actions {_shown(env.action)}"
    return Finding("functions", "good", shown)


def contradiction(env: Environment) -> str | None:
    """What of an environment does not fit the rest, in a sentence; None where all of it does.

    Raises:
      Exception: what `reset` or `step` raises while it is traced.
    """
    if not (is_whole(env.time_limit) and env.time_limit >= 1):
        return f"the time limit is {env.time_limit!r}, expected a whole number of steps from 1 on."
    if len(getattr(env.action, "shape", ())) != 1:
        return f"an action is {env.action}, expected the struct of a vector, (A,): {STRUCT}."
    if callable(env.observation):
        return f"an observation is {env.observation}, expected a struct: {STRUCT}, or a property."
    reset = jax.eval_shape(env.reset, jax.random.key(0))
    if bad := _contradiction_of_state(env, "reset", reset):
        return bad
    step = jax.eval_shape(env.step, reset, env.action)
    if bad := _contradiction_of_state(env, "step", step):
        return bad
    before, after = (
        (jax.tree.structure(state), [(x.shape, x.dtype) for x in jax.tree.leaves(state)])
        for state in (reset, step)
    )
    if before != after:
        return f"step makes {step} of the state {reset}."
    return None


def _contradiction_of_state(env: Environment, name: str, state: Any) -> str | None:
    """What of a state that a function returns is not as the environment says."""
    if lacking := [each for each in EnvState.__annotations__ if not hasattr(state, each)]:
        return (
            f"{name} returns a {type(state).__name__} without attributes {', '.join(lacking)}: "
            "return a NamedTuple with those, say."
        )
    if Spec.of(state.observation) != Spec.of(env.observation):
        return (
            f"{name} returns observations {state.observation}, and the environment says "
            f"{env.observation}: one of the two is wrong."
        )
    if state.reward.shape or state.terminated.shape:
        return (
            f"{name} returns the reward {state.reward} and terminated {state.terminated}, "
            "expected scalars."
        )
    if state.terminated.dtype != bool:
        return f"{name} returns terminated {state.terminated}, expected a bool."
    return None


def check_finite(valid: np.ndarray) -> Finding:
    """Whether observations and rewards are finite."""
    broken = int((~valid).sum())
    good = f"all of {valid.size:,} steps"
    bad = f"{broken} of {valid.size:,} steps returned a NaN or an infinity: each ends its episode."
    return Finding("finite numbers", "bad" if broken else "good", bad if broken else good)


def check_repeats(same: bool, first: Any) -> Finding:
    """Whether the environment is its key and its actions."""
    if not same:
        text = "the same key and the same actions lead elsewhere the second time"
        return Finding("determinism", "bad", f"{text}: a function of it is not pure.")
    starts = np.concatenate([np.reshape(x, (COPIES, -1)) for x in jax.tree.leaves(first)], axis=1)
    if (starts == starts[0]).all():
        text = "every episode starts from the same observation, whatever the key"
        return Finding("determinism", "advice", f"{text}; so does every evaluation.")
    return Finding("determinism", "good", "the same key and actions lead to the same numbers")


def check_episodes(env: Environment, ended: np.ndarray) -> Finding:
    """How many episodes ended."""
    text = f"a time limit of {env.time_limit:,} steps; {int(ended.sum())} ended in {ended.size:,}"
    return Finding("episodes", "good", text)


def _walk(env: Environment, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, Any]:
    """Rewards, whether they are of transitions, and ends, (STEPS, COPIES), and the first states."""
    reset_key, key = jax.random.split(key)
    envs = device.reset(env, reset_key, COPIES)

    def one_step(envs: device.Envs, key: jax.Array) -> Any:
        shape = (COPIES, *env.action.shape)
        action = draws.uniform(key, shape, env.action.dtype, -1, 1)
        envs, result, end = device.step(env, envs, action)
        return envs, (result.reward, result.valid, end.mask)

    _, walked = jax.lax.scan(one_step, envs, jax.random.split(key, STEPS))
    return *walked, envs.state.observation


def _shown(struct: Any) -> str:
    return ", ".join(f"{x.shape} of {jnp.dtype(x.dtype)}" for x in jax.tree.leaves(struct))
