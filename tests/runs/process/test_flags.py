"""Runs under flags that are set for the whole process."""

import jax
import numpy as np
import pytest

from jaxsac.runs import train
from jaxsac.runs.checkpoints import bundle
from jaxsac.runs.checkpoints.bundle import BundleError
from jaxsac.runs.policies.load import load_policy
from run_examples import Listener, small_run


@pytest.mark.parametrize("env", ["probe_environments:Drift-v0", "jaxsac:Pendulum-v1"])
def test_a_run_in_double_precision_is_trained_resumed_and_read_as_such(env, tmp_path):
    def run_to(steps):
        config = small_run(env=env, steps=steps, seeds=1, normalize_observations=True)
        return train.train(config, tmp_path / "run", Listener())

    with jax.enable_x64(True):
        assert run_to(40)
        assert run_to(60)
        policy = load_policy(tmp_path / "run")
        assert policy.observation_spec.dtype == np.float64
        assert policy(np.zeros(policy.observation_spec.shape)).shape == policy.action_low.shape
    with pytest.raises(BundleError, match="It was saved with JAX_ENABLE_X64=1"):
        load_policy(tmp_path / "run")


def test_random_keys_of_another_kind_name_the_flag(tmp_path):
    bundle.write(tmp_path / "1", [("learning", {"key": jax.random.key(0, impl="rbg")})], {})
    structs = jax.eval_shape(lambda: {"key": jax.random.key(0)})
    with pytest.raises(BundleError, match="under another JAX_DEFAULT_PRNG_IMPL"):
        bundle.load(tmp_path / "1", "learning", structs)


def test_a_run_is_not_resumed_with_other_random_numbers(tmp_path):
    def run_to(steps):
        return train.train(small_run(steps=steps, seeds=1), tmp_path / "run", Listener())

    with jax.threefry_partitionable(False):
        assert run_to(40)
    with pytest.raises(BundleError, match="under JAX_THREEFRY_PARTITIONABLE=false, without which"):
        run_to(60)
    with jax.threefry_partitionable(False):
        assert run_to(60)


@pytest.mark.parametrize(
    ("flag", "named"),
    [
        (jax.disable_jit, "JAX_DISABLE_JIT is set: not compiled"),
        (lambda: jax.numpy_rank_promotion("raise"), "JAX_NUMPY_RANK_PROMOTION is set to 'raise'"),
        (lambda: jax.numpy_dtype_promotion("strict"), "JAX_NUMPY_DTYPE_PROMOTION is set to"),
        (lambda: jax.transfer_guard("disallow"), "JAX_TRANSFER_GUARD_HOST_TO_DEVICE is set"),
        (lambda: jax.transfer_guard_device_to_host("disallow_explicit"), "JAX_TRANSFER_GUARD_DEV"),
    ],
)
def test_a_run_under_a_flag_of_no_use_is_refused_by_its_name_and_leaves_nothing(
    flag, named, tmp_path
):
    with flag(), pytest.raises(ValueError, match=named):
        train.train(small_run(), tmp_path / "run", Listener())
    assert list(tmp_path.iterdir()) == []
