"""What is compared differs in one thing alone."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxsac.envs.make import make
from jaxsac.runner.run_directory import RunDirectory

sys.path.append(str(Path(__file__).parents[2] / "experiments" / "normalization"))

import normalization
from normalization import RESULTS, STUDY, Study


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
def test_the_stored_runs_differ_in_normalization_alone(env):
    off = RESULTS / env / "off" if env == "Units" else STUDY / env / "total" / "seed-0000"
    on, off = (RunDirectory(folder).config() for folder in (RESULTS / env / "on", off))
    assert on == dataclasses.replace(off, normalize_observations=True) == Study(env).config("on")
    assert not off.normalize_observations
