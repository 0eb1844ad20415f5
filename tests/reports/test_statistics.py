import json
from pathlib import Path

import numpy as np
import pytest

from jaxsac.reports import statistics

EXPECTED = json.loads((Path(__file__).parent / "expected.json").read_text())
COUNT = EXPECTED["resamples"]


@pytest.fixture(params=EXPECTED["cases"].values(), ids=EXPECTED["cases"])
def case(request):
    x, y = (list(np.array(request.param[name]).T) for name in "xy")
    return {**request.param, "x": x, "y": y}


def rng():
    return np.random.RandomState(EXPECTED["seed"])


def assert_is(estimate, expected):
    for name in ("value", "low", "high"):
        np.testing.assert_allclose(getattr(estimate, name), expected[name][0], atol=1e-6)


def test_the_iqm_and_its_interval_are_those_of_rliable(case):
    assert_is(statistics.iqm_estimate(case["x"], rng(), COUNT), case["iqm"])


def test_the_probability_of_improvement_and_its_interval_are_those_of_rliable(case):
    estimate = statistics.improvement_estimate(case["x"], case["y"], rng(), COUNT)
    assert_is(estimate, case["improvement"])


def test_the_performance_profile_and_its_interval_are_those_of_rliable(case):
    thresholds = np.array(EXPECTED["thresholds"])
    expected = case["profile"]
    profile = statistics.profile(case["x"], thresholds)
    bounds = statistics.profile_interval(case["x"], thresholds, rng(), COUNT)
    assert bounds is not None
    low, high = bounds
    np.testing.assert_allclose(profile, expected["value"], atol=1e-6)
    np.testing.assert_allclose(low, expected["low"], atol=1e-6)
    np.testing.assert_allclose(high, expected["high"], atol=1e-6)


def test_the_iqm_leaves_out_a_quarter_at_each_end():
    assert statistics.iqm(np.array([-1e9, 1.0, 3.0, 1e9])) == 2
    assert statistics.iqm(np.array([1.0, 2.0, 6.0])) == 3


def test_one_seed_has_no_interval():
    one, two = [np.array([1.0])], [np.array([1.0, 2.0])]
    assert statistics.iqm_estimate(one, rng()) == (1, None, None)
    assert statistics.improvement_estimate(two, one, rng()) == (0.75, None, None)
    assert statistics.profile_interval(one, np.zeros(1), rng()) is None


def test_three_seeds_of_each_can_show_no_difference_and_four_can():
    rng = np.random.default_rng(0)
    for count, p in ((3, 0.1), (4, 2 / 70)):
        apart = [np.arange(float(count))], [np.arange(float(count)) + 9]
        assert statistics.p_value(*apart, rng) == pytest.approx(p)


def test_three_seeds_in_two_tasks_can_show_a_difference_and_two_cannot():
    rng = np.random.default_rng(0)
    for count, p in ((3, 2 / 20**2), (2, 2 / 6**2)):  # both extremes of all assignments
        apart = [np.arange(float(count))] * 2, [np.arange(float(count)) + 9] * 2
        assert statistics.p_value(*apart, rng, 20_000) == pytest.approx(p, abs=0.005)
    alike = [np.arange(4.0)] * 2, [np.arange(4.0)] * 2
    assert statistics.p_value(*alike, rng) == 1


def test_the_chance_of_being_best_is_one_where_nothing_overlaps_and_shared_where_all_is_alike():
    low, high = np.arange(5.0), np.arange(5.0) + 10
    assert statistics.chance_of_best([low, high], rng()).tolist() == [0, 1]
    chances = statistics.chance_of_best([low, low.copy()], rng())
    assert chances.sum() == pytest.approx(1)
    assert abs(chances[0] - 0.5) < 0.05
