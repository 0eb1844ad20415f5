"""What is compared differs in one thing alone."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxsac.envs.registry import make
from jaxsac.runs.directory.directory import RunDirectory

sys.path.append(str(Path(__file__).parents[2] / "experiments" / "normalization"))

import normalization
from normalization import RESULTS, STUDY, Study


def test_copies_in_other_units_differ_in_their_velocity_alone():
    plain, scaled = make("Pendulum-v1", 2), make(normalization.other_units(), 2)
    for seed, force, env, other in zip((3, 4), (0.5, -1.5), plain, scaled, strict=True):
        env.reset(seed=seed)
        other.reset(seed=seed)
        action = np.array([force], np.float32)
        for _ in range(200):
            observation, *rest, _ = env.step(action)
            scaled_observation, *scaled_rest, _ = other.step(action)
            np.testing.assert_allclose(scaled_observation, observation * [1, 1, 100], rtol=1e-6)
            assert scaled_rest == rest
            assert other.observation_space.contains(scaled_observation)


@pytest.mark.parametrize("env", ["HalfCheetah-v4", "Hopper-v4", "Pendulum-v1", "Units"])
def test_the_stored_runs_differ_in_normalization_alone(env):
    off = RESULTS / env / "off" if env == "Units" else STUDY / env / "total" / "seed-0000"
    on, off = (RunDirectory(folder).config() for folder in (RESULTS / env / "on", off))
    assert on == dataclasses.replace(off, normalize_observations=True) == Study(env).config("on")
    assert not off.normalize_observations
