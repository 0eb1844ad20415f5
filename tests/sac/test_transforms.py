"""`update` and its companions under JAX's transformations, in float64."""

import gc
import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import (
    CONFIG,
    FAST,
    VALUE,
    assert_close,
    assert_identical,
    make_agent,
    make_batch,
    member,
    stack,
)
from jax.sharding import Mesh, PartitionSpec

import jaxsac

SEEDS = 8


@pytest.fixture(autouse=True, scope="module")
def _x64_throughout():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module", params=[CONFIG, VALUE], ids=["target critics", "value network"])
def group(request):
    """Arguments of `update` for eight seeds, each with its own hyperparameters."""
    spread = jnp.linspace(0.5, 1.5, SEEDS)
    hyperparameters = jaxsac.Hyperparameters(
        actor_lr=0.01 * spread,
        critic_lr=0.02 * spread,
        alpha_lr=0.03 * spread,
        gamma=0.6 * spread,
        tau=0.2 * spread,
        target_entropy=-2 * spread,
        initial_alpha=0.4 * spread,
    )
    # The others have no effect with plain SAC.
    hyperparameters = jax.tree.map(lambda x: jnp.broadcast_to(x, (SEEDS,)), hyperparameters)
    keys = stack([jax.random.key(seed) for seed in range(SEEDS)])
    states = jax.vmap(
        lambda key, h: jaxsac.init(key, jnp.zeros(3), jnp.zeros(2), request.param, h)
    )(keys, hyperparameters)
    batches = stack([make_batch(seed) for seed in range(SEEDS)])
    return states, batches, jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)


@pytest.fixture(scope="module")
def vmapped():
    return jax.jit(jax.vmap(jaxsac.update))


@pytest.fixture(scope="module")
def after(group, vmapped):
    return vmapped(*group)


def test_a_seed_of_a_vmapped_group_equals_that_seed_alone(group, after, vmapped):
    states, batches, keys = group
    later, _ = vmapped(after[0], batches, keys)
    for k in (0, 3, 7):
        h = member(states, k).hyperparameters
        state = jaxsac.init(jax.random.key(k), jnp.zeros(3), jnp.zeros(2), states.config, h)
        assert_close(state, member(states, k), rtol=1e-12, atol=1e-14)
        state, metrics = jaxsac.update(state, make_batch(k), keys[k])
        assert_close((state, metrics), member(after, k), rtol=1e-12, atol=1e-12)
        state, _ = jaxsac.update(state, make_batch(k), keys[k])
        assert_close(state, member(later, k), rtol=1e-12, atol=1e-12)


def test_permuting_the_seeds_permutes_the_results_bit_for_bit(group, after, vmapped):
    order = np.array([3, 7, 0, 1, 6, 2, 5, 4])
    permuted = vmapped(*(jax.tree.map(lambda x: x[order], tree) for tree in group))
    assert_identical(permuted, jax.tree.map(lambda x: x[order], after))


def test_a_seed_that_is_not_finite_leaves_the_others_bit_for_bit(group, after, vmapped):
    states, batches, keys = group
    bad = batches._replace(reward=batches.reward.at[2, 5].set(jnp.nan))
    result, metrics = vmapped(states, bad, keys)
    assert metrics.skipped.tolist() == [0, 0, 1, 0, 0, 0, 0, 0]
    for k in range(SEEDS):
        if k == 2:
            assert int(result.skipped[k]) == 1
            unchanged = member(result, k).replace(skipped=states.skipped[k])
            assert_identical(unchanged, member(states, k))
        else:
            assert_identical(member(result, k), member(after[0], k))


def test_seeds_sharded_over_devices_equal_seeds_under_vmap(group, after):
    assert len(jax.devices()) == SEEDS
    mesh = Mesh(jax.devices(), ("seeds",))
    seeds = PartitionSpec("seeds")
    sharded = jax.jit(
        jax.shard_map(jax.vmap(jaxsac.update), mesh=mesh, in_specs=seeds, out_specs=seeds)
    )
    result = sharded(*group)
    assert len(result[0].step.sharding.device_set) == SEEDS
    assert_close(result, after, rtol=1e-12, atol=1e-12)


def scan_updates(state, batches, keys):
    return jax.lax.scan(lambda s, xs: jaxsac.update(s, *xs), state, (batches, keys))


def test_scan_equals_the_python_loop_and_may_be_cut_anywhere():
    steps = 6
    batches = stack([make_batch(step) for step in range(steps)])
    keys = jax.random.split(jax.random.key(0), steps)
    scan = jax.jit(scan_updates)
    scanned = scan(make_agent(), batches, keys)
    state, metrics = make_agent(), []
    for step in range(steps):
        state, m = jaxsac.update(state, member(batches, step), keys[step])
        metrics.append(m)
    # Two programs of one computation: the compiler may order and fuse their sums differently.
    assert_close(scanned, (state, stack(metrics)), rtol=1e-12, atol=1e-12)

    first, _ = scan(make_agent(), *jax.tree.map(lambda x: x[:3], (batches, keys)))
    rest, _ = scan(first, *jax.tree.map(lambda x: x[3:], (batches, keys)))
    assert_identical(rest, scanned[0])


def with_a_dead_unit(state):
    """The same agent with one hidden unit in every network that no input can fire."""

    def kill(params):
        (name, mlp), *_ = params.items()
        first = mlp["Dense_0"]
        return {name: {**mlp, "Dense_0": {**first, "bias": first["bias"].at[..., 0].set(-1e3)}}}

    critic = state.critic.replace(
        params=kill(state.critic.params), target_params=kill(state.critic.target_params)
    )
    return state.replace(actor=state.actor.replace(params=kill(state.actor.params)), critic=critic)


def outcome(hyperparameters, state):
    """A scalar that depends on everything that two chained updates have changed."""
    gamma, actor_lr = hyperparameters[0], hyperparameters[1]
    h = state.hyperparameters.replace(gamma=gamma, actor_lr=actor_lr)
    state = state.replace(hyperparameters=h)
    batch = make_batch()
    for step in range(2):
        state, _ = jaxsac.update(state, batch, jax.random.key(step))
    q = jaxsac.q_values(state, batch.observation, batch.action)
    return jnp.mean(q) + jnp.mean(jaxsac.act(state, batch.observation))


@pytest.fixture(scope="module")
def outcome_and_gradient():
    return jax.jit(jax.value_and_grad(outcome))


def test_update_is_differentiable_in_gamma_and_in_the_step_size(outcome_and_gradient):
    state = make_agent()
    for step in range(3):
        state, _ = jaxsac.update(state, make_batch(step), jax.random.key(10 + step))
    at, step = jnp.array([0.9, 0.01]), 1e-6
    differences = [
        (outcome_and_gradient(at + d, state)[0] - outcome_and_gradient(at - d, state)[0])
        / (2 * step)
        for d in step * jnp.eye(2)
    ]
    _, derivative = outcome_and_gradient(at, state)
    assert np.abs(derivative).min() > 1e-6
    np.testing.assert_allclose(derivative, differences, rtol=1e-5)


def test_units_that_never_fired_leave_the_derivative_of_an_update_finite(outcome_and_gradient):
    # Their second moment is zero, which is where Adam's square root has no derivative.
    state = with_a_dead_unit(make_agent())
    _, derivative = outcome_and_gradient(jnp.array([0.9, 0.01]), state)
    assert np.isfinite(derivative).all()
    assert np.abs(derivative).min() > 0


def test_many_updates_new_hyperparameters_and_seeds_trace_once():
    update = jax.jit(chex.assert_max_traces(inspect.unwrap(jaxsac.update), n=1))
    state = make_agent()
    for step in range(3):
        state, _ = update(state, make_batch(step), jax.random.key(step))
    new = {
        "actor_lr": 1e-3, "critic_lr": np.float32(1e-3), "alpha_lr": 0, "gamma": jnp.array(0.5),
        "tau": 1, "target_entropy": -7, "initial_alpha": 3,
    }  # fmt: skip
    for name, value in new.items():
        update(make_agent(**{name: value}), make_batch(), jax.random.key(2))
    update(make_agent(17), make_batch(), jax.random.key(3))
    equal = jaxsac.Config(hidden_sizes=(16, 16), num_critics=2)
    update(make_agent(config=equal), make_batch(), jax.random.key(4))
    chex.clear_trace_counter()


def aval(leaf):
    kind = jax.typeof(leaf) if isinstance(leaf, jax.Array) else leaf
    return kind.shape, kind.dtype, kind.weak_type


@pytest.mark.parametrize("config", [CONFIG, VALUE], ids=["target critics", "value network"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_update_is_a_fixed_point_in_structure_shapes_dtypes_and_weak_types(dtype, config):
    # The lower one is the harder case here: nothing may promote it to the default precision.
    state = jax.eval_shape(
        lambda: jaxsac.init(
            jax.random.key(0), jnp.zeros(3, dtype), jnp.zeros(2, dtype), config, FAST
        )
    )
    batch = jax.tree.map(lambda x: x.astype(dtype), make_batch())
    after, metrics = jax.eval_shape(jaxsac.update, state, batch, jax.random.key(1))
    assert jax.tree.structure(after) == jax.tree.structure(state)
    for (path, new), old in zip(
        jax.tree.leaves_with_path(after), jax.tree.leaves(state), strict=True
    ):
        assert aval(new) == aval(old), jax.tree_util.keystr(path)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(state)} == {dtype, "int32"}
    assert metrics.pop("skipped").dtype == "int32"
    assert {leaf.dtype.name for leaf in metrics.values()} == {dtype}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_an_agent_of_half_precision_is_refused(dtype):
    with pytest.raises(ValueError, match=f"action example is {dtype}.*float32"):
        jaxsac.init(jax.random.key(0), jnp.zeros(3), jnp.zeros(2, dtype))


def test_a_fresh_agent_can_be_donated():
    # Arrays of the agent's own dtype, which a conversion would pass on without a copy.
    h = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), FAST.replace(target_entropy=-2.0))
    key, batch = jax.random.key(0), make_batch()
    expected = jaxsac.update(make_agent(), batch, jax.random.key(1))
    state = jaxsac.init(key, jnp.zeros(3), jnp.zeros(2), CONFIG, h)
    donated = jax.jit(inspect.unwrap(jaxsac.update), donate_argnums=0)(
        state, batch, jax.random.key(1)
    )
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((h, key, batch)))
    assert_close(donated, expected, rtol=1e-12, atol=1e-12)


def test_nothing_moves_between_host_and_device():
    state, batch, key = make_agent(), make_batch(), jax.random.key(1)
    on_host = jax.tree.map(np.asarray, batch)

    def use():
        after, _ = jaxsac.update(state, batch, key)
        jaxsac.act(after, batch.observation)
        jaxsac.act(after, batch.observation, key)
        jaxsac.sample(after, batch.observation, key)
        jaxsac.q_values(after, batch.observation, batch.action)
        jaxsac.gradient_terms(after, batch, key)

    use()
    with jax.transfer_guard("disallow"):
        use()
        with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
            jaxsac.update(state, on_host, key)


@pytest.fixture
def few_objects():
    """A look for leaks goes through all objects again and again, but for those that are frozen."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("few_objects")
def test_update_leaks_no_tracers_and_reuses_no_key():
    state, batch = make_agent(), make_batch()
    with jax.checking_leaks(), jax.debug_key_reuse(True):
        key, other = jax.random.split(jax.random.key(1))
        after, metrics = jaxsac.update(state, batch, key)
        jaxsac.sample(after, batch.observation, other)
        with pytest.raises(jax.errors.KeyReuseError):
            jaxsac.update(state, batch, key)
    assert int(metrics.skipped) == 0
