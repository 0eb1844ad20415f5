"""The paper's way to set the temperature: an environment with scaled rewards."""

import sys
from pathlib import Path

import numpy as np

from jaxsac.envs.make import make

sys.path.append(str(Path(__file__).parents[2] / "experiments" / "first_sac"))

import first_sac


def test_copies_of_the_scaled_environment_differ_in_their_rewards_alone():
    plain, scaled = make("Pendulum-v1", 2), make(first_sac.scaled("Pendulum-v1"), 2)
    for envs in (plain, scaled):
        envs.reset(seed=[3, 4])
    for _ in range(200):
        action = np.array([[0.5], [-1.5]], np.float32)
        observation, reward, terminated, truncated, _ = plain.step(action)
        scaled_observation, scaled_reward, *ends, _ = scaled.step(action)
        np.testing.assert_array_equal(scaled_observation, observation)
        np.testing.assert_allclose(scaled_reward, first_sac.REWARD_SCALE * reward, rtol=1e-12)
        np.testing.assert_array_equal(ends, (terminated, truncated))
    assert truncated.all()
