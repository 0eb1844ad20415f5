"""What seems to be an image, and is not taken for one."""

import numpy as np
import pytest
from gymnasium import spaces

from jaxsac.envs.fitness import images


def box(*shape, dtype: type = np.uint8, low=0, high=255):
    return spaces.Box(low, high, shape, dtype)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (box(3, 84, 84), "last, `image.transpose(1, 2, 0)`, or if these are frames, leave"),
        (box(4, 84, 84), "FrameStackObservation out and give --frame-stack 4."),
        (box(4, 84, 84, 3), "if it is one, leave gymnasium.wrappers.FrameStackObservation out"),
        (box(3, 3, 84, 84), "FrameStackObservation out and give --frame-stack 3."),
        (box(84, 84), "if it is one, add a last axis: `gymnasium"),
        (box(84, 84, 3, dtype=np.float32), "if it is one, give bytes, 0 to 255."),
        (box(84, 84, 3, dtype=np.float64, high=1), "observation is float64 of (84, 84, 3)"),
        (box(84, 84, 3, dtype=np.int64), "if it is one, give bytes, 0 to 255."),
        (box(84, 84, dtype=np.float32), "keep_dim=True)`, and give bytes, 0 to 255."),
        (spaces.Dict({"eye": box(3, 84, 84)}), "observation['eye'] is uint8 of (3, 84, 84)"),
    ],
)
def test_what_seems_to_be_an_image_in_another_form_is_told(space, said):
    (sentence,) = images.misread(space)
    assert said in sentence


@pytest.mark.parametrize(
    "space",
    [
        box(84, 84, 3),
        box(84, 84, 1),
        box(7, 7, 3),
        box(5, 5, 12),
        box(64, 64, 64),
        box(3, 3),
        box(84, 20),
        box(3000),
        box(),
        box(3, 84, 84, dtype=np.float32, low=-np.inf, high=np.inf),
        box(84, 84, dtype=np.float32, low=-1, high=1),
        box(84, 84, dtype=np.int8, high=1),
        box(84, 84, dtype=np.float32, high=100),
        box(32, 32, 32, 1, dtype=np.float32, high=1),
        spaces.MultiBinary((84, 84)),
    ],
)
def test_an_image_as_it_should_be_and_what_is_hardly_one_are_left_alone(space):
    assert images.misread(space) == []
