"""What is compared differs in one thing alone."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxsac.envs.make import make

sys.path.append(str(Path(__file__).parents[2] / "experiments" / "normalization"))

import normalization
from normalization import Study


def test_copies_in_other_units_differ_in_their_velocity_alone():
    plain, scaled = make("Pendulum-v1", 2), make(normalization.other_units(), 2)
    for envs in (plain, scaled):
        envs.reset(seed=[3, 4])
    for _ in range(200):
        action = np.array([[0.5], [-1.5]], np.float32)
        observation, *rest, _ = plain.step(action)
        scaled_observation, *scaled_rest, _ = scaled.step(action)
        np.testing.assert_allclose(scaled_observation, observation * [1, 1, 100], rtol=1e-6)
        np.testing.assert_array_equal(scaled_rest, rest)
        assert scaled.single_observation_space.contains(scaled_observation[0])


@pytest.mark.parametrize("env", ["HalfCheetah-v4", "Hopper-v4", "Pendulum-v1", "Units"])
def test_the_runs_that_are_compared_differ_in_normalization_alone(env):
    on, off = (Study(env).config(variant) for variant in ("on", "off"))
    assert on == dataclasses.replace(off, normalize_observations=True)
    assert not off.normalize_observations
