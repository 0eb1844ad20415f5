"""The seed axis: members of a group do not know of each other."""

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

import jaxsac
from jaxsac.training import evaluate, seed_axis
from run_examples import Group, assert_identical, is_identical, member

STEPS = 20


def test_permuting_the_members_permutes_the_results_bit_for_bit():
    order = [2, 0, 3, 1]
    members = [10, 11, 12, 13]
    group = Group(members).learn(STEPS)
    permuted = Group([members[k] for k in order]).learn(STEPS)
    for position, k in enumerate(order):
        assert_identical(member(permuted.learner, position), member(group.learner, k))
        for a, b in zip(permuted.actions, group.actions, strict=True):
            np.testing.assert_array_equal(a[position], b[k])
    assert not is_identical(member(group.learner.agent, 0), member(group.learner.agent, 1))


def test_platforms_that_are_not_there_are_named(monkeypatch):
    def fail():  # as JAX does for CUDA without its plugin
        raise AssertionError

    before = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setattr(jax, "local_devices", fail)
    jax.config.update("jax_platforms", "cuda")
    try:
        with pytest.raises(ValueError, match=r"JAX_PLATFORMS is set to 'cuda'.*unset it"):
            seed_axis.axis(1)
    finally:
        jax.config.update("jax_platforms", before)


def test_a_member_full_of_nans_leaves_the_others_as_they_are_bit_for_bit():
    healthy, sick = Group([0, 1, 2]), Group([0, 1, 2])
    poison = jax.tree.map(lambda x: x.at[1].set(np.nan), sick.carry.agent.actor.params)
    sick.carry = sick.carry._replace(
        agent=sick.carry.agent.replace(actor=sick.carry.agent.actor.replace(params=poison))
    )
    healthy.learn(STEPS)
    sick.learn(STEPS)
    for k in (0, 2):
        assert_identical(member(sick.learner, k), member(healthy.learner, k))
    assert healthy.discarded.tolist() == [0, 0, 0]
    # The actions of the policy, not the uniform ones before learning starts.
    assert sick.discarded.tolist() == [0, 2 * STEPS - 8, 0]


def test_a_members_environments_start_alike_in_any_group():
    alone = evaluate.seeds_of_members([7], (0,), 3)
    assert evaluate.seeds_of_members([5, 6, 7, 8], (0,), 3)[6:9] == alone
    assert len(set(evaluate.seeds_of_members(list(range(50)), (0,), 3))) == 150


@pytest.fixture(scope="module")
def group():
    with jax.enable_x64(True):
        return Group([4, 9, 2, 7], dtype="float64").learn(STEPS)


def assert_equal_but_for_rounding(actual, expected):
    for (path, a), b in zip(
        jax.tree.leaves_with_path(actual), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12, err_msg=jax.tree_util.keystr(path))


def test_a_member_learns_in_a_group_what_it_learns_alone(x64, group):
    assert group.learner.agent.temperature.params.dtype == np.float64
    for k, number in ((0, 4), (2, 2)):
        alone = Group([number], dtype="float64").learn(STEPS)
        assert_equal_but_for_rounding(member(alone.learner, 0), member(group.learner, k))
        assert_equal_but_for_rounding(np.array(alone.actions)[:, 0], np.array(group.actions)[:, k])


def test_several_devices_learn_what_one_does(x64, group):
    several = Group([4, 9, 2, 7], devices=2, dtype="float64").learn(STEPS)
    assert len(several.carry.agent.temperature.params.sharding.device_set) == 2
    assert_equal_but_for_rounding(several.learner, group.learner)


def test_batching_members_equals_running_one_after_the_other():
    args = (np.arange(4.0), jax.random.normal(jax.random.key(0), (4, 3)))

    def function(a, b):
        return a + b.sum(), {"b": b}

    mapped = seed_axis._one_after_the_other(function)(*args)
    assert_identical(mapped, jax.vmap(function)(*args))


def test_shared_arguments_reach_every_member():
    mesh = Mesh(np.array(jax.devices()[:2]), ("seeds",))
    axis = seed_axis.SeedAxis(4, mesh, "map")
    scaled = axis.compile(lambda x, factor: x * factor, num_shared=1)
    np.testing.assert_array_equal(scaled(np.arange(4.0), 3.0), [0, 3, 6, 9])


def test_an_axis_takes_the_fewest_devices_that_are_as_fast_as_all():
    assert len(jax.devices()) == 8
    axes = [seed_axis.axis(count) for count in (1, 3, 8, 9, 11, 16, 17, 20)]
    assert [axis.mesh.size for axis in axes] == [1, 3, 8, 5, 6, 8, 6, 7]
    assert [axis.num_rows for axis in axes] == [1, 3, 8, 10, 12, 16, 18, 21]


def test_three_members_on_two_cores_leave_no_place_over():
    assert [seed_axis._cpu_devices(count, 2) for count in range(1, 8)] == [1, 2, 1, 2, 2, 2, 2]
    assert [seed_axis._cpu_devices(count, 8) for count in (3, 8, 9, 20)] == [3, 8, 5, 7]


def test_an_axis_says_what_it_chose():
    assert seed_axis.axis(1).describe() == "1 member on 1 device (cpu)"
    assert seed_axis.axis(9).describe() == (
        "9 members on 5 devices (cpu), 2 on each, batched, 1 place left over"
    )
    assert "5 on each, one after the other" in seed_axis.axis(40).describe()
    crossq = jaxsac.preset("crossq").config
    assert "2 on each, one after the other" in seed_axis.axis(9, agent=crossq).describe()
    assert "5 on each, batched" in seed_axis.axis(40, "vmap").describe()
    assert "3 on each, one after the other" in seed_axis.axis(20, "map").describe()
