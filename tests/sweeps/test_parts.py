"""The parts of a sweep are the sweep, whoever trains them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxsac.runs.directory.directory import RunDirectory
from jaxsac.sweeps import plan
from run_examples import small_run

FEW = st.integers(1, 7)


def group_of(points, seeds):
    rates = ",".join(f"{k / 1000}" for k in range(1, points + 1))
    base = small_run(seeds=seeds, seed=3)
    return plan.groups(base, ("batch_size=4,8", f"actor_lr={rates}"))[1]


def members(group):
    """Number, settings and seed of every member, and what it shares with the others."""
    config = group.config
    shared = {k: v for k, v in config.to_json().items() if k not in ("seed", "seeds", "actor_lr")}
    for index, seed in enumerate(config.member_seeds):
        point = index // config.seeds
        assert config.points in ([{}], [{"actor_lr": p["actor_lr"]} for p in group.points])
        rate = np.broadcast_to(config.member_hyperparameters.actor_lr, config.population)[index]
        yield group.first_point + point, group.points[point], rate, seed, shared


@given(FEW, FEW, st.integers(1, 30))
def test_every_member_is_in_one_part_with_its_own_settings(points, seeds, count):
    group = group_of(points, seeds)
    split = plan.split(group, count)
    found = [member for part in split for member in members(part)]
    assert sorted(found, key=lambda m: (m[0], m[3])) == list(members(group))
    assert group.first_point == points, "after the points of the other group"
    assert len({part.name for part in split}) == len(split)


@given(FEW, FEW, st.integers(1, 30))
def test_parts_are_at_most_so_many_and_nearly_equal(points, seeds, count):
    group = group_of(points, seeds)
    split = plan.split(group, count)
    assert len(split) <= count
    largest = max(part.config.population for part in split)
    if count >= points * seeds:
        assert largest == 1
    if points % count == 0 or seeds % count == 0:
        assert largest == points * seeds // count
    # No cut through points or through seeds alone would do better.
    assert largest <= math.ceil(points / min(points, count)) * seeds
    assert largest <= math.ceil(seeds / min(seeds, count)) * points
    # Parts that were begun tell how many were asked for.
    assert plan.split(group, len(split)) == split


def test_one_part_is_the_group_itself():
    group = group_of(3, 2)
    assert plan.split(group, 1) == [group]


def test_a_sweep_without_settings_is_its_seeds():
    (group,) = plan.groups(small_run(seeds=5), ())
    assert group.points == [{}]
    assert group.config == small_run(seeds=5)
    names = [(part.name, part.config.member_seeds) for part in plan.split(group, 2)]
    assert names == [("all.part-1-of-2", [0, 1]), ("all.part-2-of-2", [2, 3, 4])]


@pytest.mark.parametrize("begun", [1, 4])
def test_a_directory_keeps_the_parts_that_it_was_begun_with(tmp_path, begun):
    groups = plan.groups(small_run(seeds=4), ("batch_size=4,8",))
    first, *_ = planned = plan.parts(tmp_path, groups, begun)
    assert len(planned) == 2 * begun
    RunDirectory(tmp_path / first.name).create(first.config)
    again = plan.parts(tmp_path, groups, 2)
    assert again[:begun] == planned[:begun]
    assert len(again[begun:]) == 2, "the other group was not begun"
