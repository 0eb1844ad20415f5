"""The paper's way to set the temperature: an environment with scaled rewards."""

import sys
from pathlib import Path

import numpy as np

from jaxsac.envs.registry import make

sys.path.append(str(Path(__file__).parents[2] / "experiments" / "first_sac"))

import first_sac


def test_copies_of_the_scaled_environment_differ_in_their_rewards_alone():
    plain, scaled = make("Pendulum-v1", 2), make(first_sac.scaled("Pendulum-v1"), 2)
    for seed, force, env, other in zip((3, 4), (0.5, -1.5), plain, scaled, strict=True):
        env.reset(seed=seed)
        other.reset(seed=seed)
        action, truncated = np.array([force], np.float32), False
        for _ in range(200):
            observation, reward, terminated, truncated, _ = env.step(action)
            scaled_observation, scaled_reward, *ends, _ = other.step(action)
            np.testing.assert_array_equal(scaled_observation, observation)
            np.testing.assert_allclose(scaled_reward, first_sac.REWARD_SCALE * reward, rtol=1e-12)
            assert ends == [terminated, truncated]
        assert truncated
