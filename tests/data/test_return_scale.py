"""The scale of returns against sums and moments in double precision."""

import jax
import numpy as np
import pytest

from jaxsac.data import return_scale

pytestmark = pytest.mark.usefixtures("x64")

GAMMA, STEPS, ENVS = 0.9, 60, 3
RNG = np.random.default_rng(0)
VALID = RNG.random((STEPS, ENVS)) < 0.9
VALID[30, 1] = True
OVER = (RNG.random((STEPS, ENVS)) < 0.2) | ~VALID
# Far from zero, and in one place far from the others.
REWARD = np.where(VALID, RNG.normal(2.0, 1.0, (STEPS, ENVS)), np.nan)
REWARD[30, 1] = -100.0

update = jax.jit(return_scale.update)


def scale_after(name, bound=5.0, steps=STEPS):
    scale = return_scale.init(name, ENVS, bound, np.float64)
    for step in zip(REWARD[:steps], VALID, OVER, strict=False):
        scale = update(scale, *step, GAMMA)
    assert isinstance(scale, return_scale.ReturnScale)
    return scale


def sums():
    """Every discounted sum that is counted, by a loop over each environment."""
    found = []
    for env in range(ENVS):
        total = 0.0
        for step in range(STEPS):
            if not VALID[step, env]:
                total = 0.0
                continue
            carried = 0.0 if OVER[step, env] else GAMMA * total
            total = carried + REWARD[step, env]
            found.append(total)
    return np.array(found)


def test_moments_and_extremes_are_those_of_all_discounted_sums():
    scale, found = scale_after("return_std"), sums()
    assert scale.moments.count == len(found) == VALID.sum()
    np.testing.assert_allclose(scale.moments.mean, found.mean(), rtol=1e-12)
    np.testing.assert_allclose(scale.moments.squares, found.var() * len(found), rtol=1e-12)
    np.testing.assert_allclose(scale.largest, np.abs(found).max(), rtol=1e-12)


@pytest.mark.parametrize("bound", [5.0, 50.0])
def test_rewards_are_divided_as_the_papers_say(bound):
    found = sums()
    by_std = return_scale.apply(scale_after("return_std"), REWARD[:2])
    np.testing.assert_allclose(by_std, REWARD[:2] / (found.std() + 1e-8), rtol=1e-12)
    divisor = max(np.sqrt(found.var() + 1e-8), np.abs(found).max() / bound)
    assert (divisor > 1.1 * found.std()) == (bound == 5.0), "each of the two decides once"
    bounded = return_scale.apply(scale_after("return_bound", bound), REWARD[:2])
    np.testing.assert_allclose(bounded, REWARD[:2] / divisor, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "reward", "divisor"),
    [("return_std", 3.0, 1.0), ("return_bound", 3.0, 3 / 5), ("return_bound", 0.0, 1e-4)],
)
def test_one_sum_alone_has_no_deviation(name, reward, divisor):
    scale, true = return_scale.init(name, dtype=np.float64), np.ones(1, bool)
    scale = return_scale.update(scale, np.array([reward]), true, true, GAMMA)
    np.testing.assert_allclose(return_scale.divisor(scale), divisor, rtol=1e-12)


def test_before_any_reward_and_without_a_scale_rewards_are_as_they_are():
    for name in ("none", "return_std", "return_bound"):
        scale = return_scale.init(name, ENVS, dtype=np.float64)
        np.testing.assert_array_equal(return_scale.apply(scale, REWARD[0]), REWARD[0])


def test_episodes_that_are_given_up_leave_nothing_behind():
    scale = scale_after("return_std", steps=30)
    after = return_scale.restart(scale, np.array([False, True, False]))
    assert isinstance(after, return_scale.ReturnScale)
    assert scale.sums[1] != 0
    np.testing.assert_array_equal(after.sums, [scale.sums[0], 0, scale.sums[2]])


@pytest.mark.parametrize("name", ["return_std", "return_bound"])
def test_a_scale_after_data_is_the_one_after_its_rewards_one_by_one(name):
    reward, over = REWARD[VALID[:, 0], 0], OVER[VALID[:, 0], 0]
    one_by_one = return_scale.init(name, dtype=np.float64)
    for r, end in zip(reward, over, strict=True):
        one_by_one = update(one_by_one, r[None], np.ones(1, bool), end[None], GAMMA)
    found = return_scale.after_data(return_scale.init(name, dtype=np.float64), reward, over, GAMMA)
    np.testing.assert_allclose(
        return_scale.divisor(found), return_scale.divisor(one_by_one), rtol=1e-9
    )
    assert found.moments.count == len(reward)
    assert (found.sums == 0).all(), "the run begins an episode of its own"


@pytest.mark.parametrize("name", ["return_std", "return_bound"])
def test_a_sum_whose_square_is_not_finite_is_not_counted(name):
    scale = scale_after(name)
    ends, valid = np.ones(ENVS, bool), np.ones(ENVS, bool)
    after = update(scale, np.array([1e25, 1.0, 2.0]), valid, ends, GAMMA)
    expected = update(scale, np.array([0.0, 1.0, 2.0]), valid & [False, True, True], ends, GAMMA)
    assert return_scale.divisor(after) == return_scale.divisor(expected)
    rewards, over = np.array([1e25, 1.0, 2.0]), np.ones(3, bool)
    fresh = return_scale.init(name, dtype=np.float64)
    of_data = return_scale.after_data(fresh, rewards, over, GAMMA)
    expected = return_scale.after_data(fresh, rewards[1:], over[1:], GAMMA)
    assert return_scale.divisor(of_data) == return_scale.divisor(expected)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"'return_std'.*got 'std'"):
        return_scale.init("std")


@pytest.mark.parametrize("bound", [np.int64(5), np.float32(5), jax.numpy.float32(5), 5])
def test_a_bound_is_any_number(bound):
    scale = return_scale.init("return_bound", bound=bound)
    assert isinstance(scale, return_scale.ReturnScale)
    assert hash(scale.bound) == hash(5.0)


@pytest.mark.parametrize("bound", [True, 0, np.inf, np.nan, "5", [5.0], np.ones(1)])
def test_what_is_no_bound_is_refused(bound):
    with pytest.raises(ValueError, match="bound must be a positive number, got"):
        return_scale.init("return_bound", bound=bound)


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e16])
def test_a_reward_that_is_no_number_to_count_costs_its_sum_alone(number):
    scale, valid = return_scale.init("return_std", 2, dtype=np.float64), np.ones(2, bool)
    over = np.zeros(2, bool)
    for reward in ([number, 1.0], [2.0, 1.0]):
        scale = update(scale, np.array(reward), valid, over, GAMMA)
    np.testing.assert_array_equal(scale.sums, [2.0, 1.9])
    assert scale.moments.count == 3
    data = return_scale.after_data(
        return_scale.init("return_std", dtype=np.float64), np.array([number, 2.0]), over, GAMMA
    )
    assert data.largest == 2.0


def test_without_a_scale_the_divisor_is_one():
    assert return_scale.divisor(()) == 1


def test_what_is_not_one_for_each_environment_is_refused():
    scale, right = return_scale.init("return_std", 2), np.ones(2, bool)
    with pytest.raises(ValueError, match=r"reward has shape \(2, 1\), expected .* \(2,\)"):
        return_scale.update(scale, np.ones((2, 1)), right, right, GAMMA)
    with pytest.raises(ValueError, match=r"num_envs must be a whole number from 1 on, got 1\.5"):
        return_scale.init("return_std", 1.5)
    with pytest.raises(ValueError, match="dtype must be floating, as rewards are"):
        return_scale.init("return_std", dtype=np.int32)
    with pytest.raises(ValueError, match="bound must be a positive number, got 0"):
        return_scale.init("return_bound", bound=0)


def test_whole_numbers_are_not_cut_off_and_types_stay():
    scale = return_scale.init("return_bound", dtype=np.float32)
    after = return_scale.update(scale, np.array([10.0]), np.ones(1, bool), np.zeros(1, bool), GAMMA)
    assert isinstance(after, return_scale.ReturnScale)
    assert after.sums.dtype == after.largest.dtype == np.float32
    np.testing.assert_allclose(return_scale.apply(after, np.array([1])), [0.5])
