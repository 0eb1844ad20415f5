"""The presets against what the packages themselves computed, and against formulas."""

import sys
from pathlib import Path

import jax
import pytest

sys.path.append(str(Path(__file__).parents[2] / "experiments" / "conventions"))

import case
import compare
import family_case
import ours

from jaxsac.sac.presets import LIBRARIES

REQUIREMENTS = Path(__file__).parents[2] / "experiments" / "performance" / "peers"
DISTRIBUTIONS = {"sb3": "stable-baselines3", "sbx": "sbx-rl", "brax": "brax", "rejax": "rejax"}
# What jaxsac's loop cannot be given: fewer transitions than a batch, a replay as long as the run.
NOT_TAKEN = {
    "sb3": {"learning_starts"},
    "sbx": {"learning_starts"},
    "brax": {"learning_starts", "replay_capacity"},
    "rejax": set(),
}


@pytest.mark.parametrize(
    "peer",
    [pytest.param(name, marks=[pytest.mark.slow] * (name != "sbx")) for name in compare.PACKAGES],
)
def test_losses_gradients_and_parameters_are_those_of_the_package(peer):
    rows = list(compare.with_package(peer))
    assert len(rows) == (16 if peer in compare.UPDATED else 12)
    assert [row for row in rows if row.deviation > compare.TOLERANCE] == []
    # In double precision nothing but rounding is left, also where policies are saturated.
    exact = [row for row in rows if row.setting == "double precision"]
    assert max(row.deviation for row in exact) < 1e-9


@pytest.mark.parametrize(
    "algorithm",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name != "tqc"))
        for name in family_case.ALGORITHMS
    ],
)
def test_an_algorithm_of_the_family_is_that_of_sbx(algorithm):
    rows = list(compare.with_algorithm(algorithm))
    assert len(rows) == (17 if algorithm == "crossq" else 16)
    assert [row for row in rows if row.deviation > compare.TOLERANCE] == []
    exact = [row for row in rows if row.setting == "double precision"]
    # SBX has the levels of TQC's quantiles in single precision whatever the rest is.
    assert max(row.deviation for row in exact) < (1e-7 if algorithm == "tqc" else 1e-8)


@pytest.mark.parametrize("peer", compare.FORMULAS)
def test_losses_and_gradients_are_those_of_the_published_formula(peer):
    rows = list(compare.with_formula(peer))
    assert len(rows) == (4 if peer == "spinningup" else 6)
    assert [row for row in rows if row.deviation > 1e-6] == []


@pytest.mark.parametrize(
    ("peer", "other", "differing"),
    [
        ("sb3", "sbx", {"critic_loss", "actor_loss", "alpha_loss"}),  # ε of the log-probability
        ("sbx", "jaxrl", {"critic_loss", "actor_loss", "alpha_loss"}),  # lower bound of log σ
        ("brax", "cleanrl", {"critic_loss", "actor_loss", "alpha_loss"}),  # map of log σ
        ("rejax", "jaxrl", {"alpha_loss"}),  # target entropy
    ],
)
def test_the_case_tells_one_convention_from_another(peer, other, differing):
    stored = case.read(peer)["double precision"]
    with jax.enable_x64(True):
        mine = ours.measure(other, case.make("float64"))
    found = {name for name in case.LOSSES if compare.deviation(mine[name], stored[name]) > 1e-2}
    assert found == differing


@pytest.mark.parametrize("peer", compare.PACKAGES)
def test_defaults_are_those_of_the_package(peer):
    stored, mine = case.read(peer)["defaults"], ours.defaults(peer)
    assert {name for name in stored if mine[name] != stored[name]} == NOT_TAKEN[peer]


@pytest.mark.parametrize("peer", compare.PACKAGES)
def test_initial_weights_are_spread_as_those_of_the_package(peer):
    stored, mine = case.read(peer)["initial"], ours.initial(peer)
    for network in ("actor", "critic"):
        for theirs, layer in zip(stored[network], mine[network], strict=True):
            assert layer["kernel_std"] == pytest.approx(theirs["kernel_std"], rel=0.05)
            assert layer["kernel_max"] == pytest.approx(theirs["kernel_max"], rel=0.03)
        for theirs, layer in zip(stored[network][:2], mine[network][:2], strict=True):
            assert layer["bias_max"] == pytest.approx(theirs["bias_max"], rel=0.03)


@pytest.mark.parametrize("peer", compare.PACKAGES)
def test_results_are_of_the_versions_that_are_installed_for_comparisons(peer):
    requirements = (REQUIREMENTS / f"{peer}.txt").read_text().split()
    name = DISTRIBUTIONS[peer]
    assert f"{name}=={case.read(peer)['versions'][name]}" in requirements


@pytest.mark.parametrize("algorithm", family_case.ALGORITHMS)
def test_results_of_the_family_are_of_the_version_that_is_installed_for_comparisons(algorithm):
    requirements = (REQUIREMENTS / "sbx.txt").read_text().split()
    assert f"sbx-rl=={case.read(f'sbx_{algorithm}')['versions']['sbx-rl']}" in requirements


def test_every_preset_of_a_library_is_proved():
    assert {*compare.PACKAGES, *compare.FORMULAS} == set(LIBRARIES)
