"""Environments of packages that are not installed with jaxsac; docs/environments.md."""

import importlib

import jax
import numpy as np
import pytest

from assertions import assert_identical
from jaxsac.envs import host
from jaxsac.envs.registry import make
from jaxsac.types import Spec


@pytest.mark.parametrize(
    ("module", "name", "observation"),
    [
        ("shimmy", "dm_control/cheetah-run-v0", {"position": 8, "velocity": 9}),
        (
            "gymnasium_robotics",
            "PointMaze_UMaze-v3",
            {"achieved_goal": 2, "desired_goal": 2, "observation": 4},
        ),
    ],
)
def test_copies_go_on_where_others_stopped_bit_for_bit(module, name, observation):
    pytest.importorskip(module)
    if module == "shimmy":
        pytest.importorskip("dm_control")
    importlib.import_module(module)
    envs, others = (host.HostEnvs(make(f"{module}:{name}", 1), 1) for _ in range(2))
    expected = {key: jax.ShapeDtypeStruct((size,), np.float32) for key, size in observation.items()}
    assert Spec.of(envs.observation_example) == Spec.of(expected)
    random = np.random.default_rng(0)
    actions = random.uniform(-1, 1, (1100, 1, 1, envs.action_map.size)).astype(np.float32)
    seen = envs.reset([5])
    for action in actions[:1050]:  # past the end of an episode, which no seed starts again
        seen = envs.step(action)[0].observation
    found, restarted = others.restore(envs.snapshot(), seen)
    assert restarted == []
    assert_identical(found, seen)
    for action in actions[1050:]:
        assert_identical(others.step(action), envs.step(action))
