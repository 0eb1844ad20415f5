"""Everything that trains can be lowered for accelerators; it takes none to see that."""

import functools

import jax
import jax.numpy as jnp
import pytest

import jaxsac
from jaxsac.envs.in_jax.families import make_in_jax
from jaxsac.training import device_loop
from jaxsac.training.schedule import Work
from run_examples import LOOP, small_run

KINDS = {
    "default": {},
    "value network": {"agent": jaxsac.Config(value_network=True)},
    "score": {
        "agent": jaxsac.Config(actor_gradient="score", actor_samples=2, normalization="layer")
    },
    "all that is carried": {"normalize_observations": True, **LOOP},
}


def lower(function, *args):
    jax.jit(function).trace(*args).lower(lowering_platforms=("cuda", "rocm", "tpu"))


def programs(env_id, **options):
    """Start, a chunk of steps and an evaluation: functions and structs of their arguments."""
    env = make_in_jax(env_id)
    run = small_run(
        num_envs=2, replay_capacity=9, batch_size=4, **{"agent": jaxsac.Config(), **options}
    )
    population = run.to_population()
    init = functools.partial(device_loop.init, env=env)
    carry = jax.eval_shape(init, population)
    chunk = functools.partial(device_loop.learn_chunk, env=env, batch_size=4)
    works = Work(jnp.ones(3, jnp.int32), jnp.zeros(3, bool))
    evaluate = functools.partial(
        device_loop.evaluate, env=env, episodes=2, sampled=True, longest=100
    )
    keys = jax.vmap(jax.random.key)(population.seeds)
    yield init, population
    yield chunk, carry, works, 3
    yield jax.vmap(evaluate), carry.learning.policy, keys


@pytest.mark.parametrize("kind", KINDS)
def test_training_can_be_lowered_for_accelerators(kind):
    for function, *args in programs("jaxsac:Pendulum-v1", **KINDS[kind]):
        lower(function, *args)


@pytest.mark.slow
def test_a_robot_of_mjx_can_be_lowered_for_accelerators():
    pytest.importorskip("mujoco.mjx")
    for function, *args in programs("mjx:Hopper-v4"):
        lower(function, *args)
