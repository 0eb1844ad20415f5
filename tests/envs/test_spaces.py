import re

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxsac.envs.options import EnvOptions
from jaxsac.envs.spaces import action_map, observation_example

REFUSED_ACTIONS = {
    "discrete": (spaces.Discrete(3), "not a Box"),
    "multi-discrete": (spaces.MultiDiscrete([2, 3]), "not a Box"),
    "multi-binary": (spaces.MultiBinary(2), "not a Box"),
    "dict": (spaces.Dict({"arm": spaces.Box(-1, 1, (2,))}), "not a Box"),
    "tuple": (spaces.Tuple([spaces.Box(-1, 1, (2,))]), "not a Box"),
    "integer": (spaces.Box(0, 9, (2,), np.int32), "dtype int32"),
    "unbounded": (spaces.Box(-np.inf, np.inf, (2,)), r"dimension\(s\) \[0, 1\]"),
    "bounded by nothing": (
        spaces.Box(np.float32([-1, np.finfo(np.float32).min]), np.float32([1, 1])),
        r"unbounded in dimension\(s\) \[1\]",
    ),
    "half-bounded": (
        spaces.Box(np.float32([-1, -1]), np.float32([1, np.inf])),
        r"unbounded in dimension\(s\) \[1\]",
    ),
    "empty range": (
        spaces.Box(np.float32([-1, 2, 0]), np.float32([1, 2, 1])),
        r"empty range .* dimension\(s\) \[1\]",
    ),
    "no dimension": (spaces.Box(-1, 1, (0,)), "no dimension"),
    "no dimension in two axes": (spaces.Box(-1, 1, (2, 0)), "no dimension"),
}
REMEDIES = ("use", "wrap", "give", "remove", "nothing to learn")


def test_keys_without_an_order_are_refused():
    box = spaces.Box(-1, 1, (2,))
    with pytest.raises(ValueError, match="has keys of several kinds"):
        observation_example(spaces.Dict({1: box, "a": box}))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", REFUSED_ACTIONS)
def test_an_unusable_action_space_is_refused_by_name_with_a_remedy(name):
    space, reason = REFUSED_ACTIONS[name]
    with pytest.raises(ValueError, match=reason) as refusal:
        action_map(space)
    message = str(refusal.value)
    assert str(space) in message
    assert any(word in message for word in REMEDIES)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_asymmetric_bounds_are_reached_exactly(dtype):
    low = np.array([0.1, -3.7, -1e6, 1e-3, -0.3], dtype)
    high = np.array([0.7, 11.3, 1e-3, 1e3, 0.1], dtype)
    mapped = action_map(spaces.Box(low, high, dtype=dtype))
    ends = mapped(np.array([[-1] * 5, [1] * 5], np.float32))
    assert ends.dtype == dtype
    np.testing.assert_array_equal(ends, [low, high])


def test_the_middle_of_the_action_box_maps_to_the_middle_of_the_space():
    mapped = action_map(spaces.Box(np.float32([-2, 0]), np.float32([6, 1])))
    np.testing.assert_array_equal(mapped(np.zeros((1, 2), np.float32)), [[2, 0.5]])


def test_tiny_actions_keep_all_their_digits_under_symmetric_bounds():
    tiny = np.float32([[1.2345678e-20, -9.876543e-8]])
    mapped = action_map(spaces.Box(-4, 4, (2,)))
    np.testing.assert_array_equal(mapped(tiny), 4 * tiny)


def test_no_action_leaves_the_bounds():
    space = spaces.Box(np.float32([0.1, -0.7]), np.float32([0.3, 1e-7]))
    rng = np.random.default_rng(0)
    units = np.concatenate([rng.uniform(-1, 1, (1000, 2)), [[1 + 1e-6, -1 - 1e-6]]])
    assert all(space.contains(action) for action in action_map(space)(units.astype(np.float32)))


def test_the_map_restores_the_shape_of_the_space():
    space = spaces.Box(np.float32([[-1, -2], [-3, -4]]), np.float32([[1, 2], [3, 4]]))
    mapped = action_map(space)
    assert mapped.size == 4
    np.testing.assert_array_equal(mapped(np.ones((3, 4), np.float32)), [space.high] * 3)


def test_observation_dtypes_are_kept_but_for_64_bits():
    space = spaces.Dict(
        {
            "image": spaces.Box(0, 255, (8, 8, 3), np.uint8),
            "joints": spaces.Box(-np.inf, np.inf, (5,), np.float64),
            "half": spaces.Box(-1, 1, (2,), np.float16),
            "counts": spaces.Box(0, 9, (2,), np.int64),
            "turned": spaces.Box(-1, 1, (3,), np.dtype(">f4")),
            "parts": spaces.Tuple([spaces.Box(-1, 1), spaces.MultiBinary(4)]),
        }
    )
    assert observation_example(space) == {
        "image": jax.ShapeDtypeStruct((8, 8, 3), jnp.uint8),
        "joints": jax.ShapeDtypeStruct((5,), jnp.float32),
        "half": jax.ShapeDtypeStruct((2,), jnp.float16),
        "counts": jax.ShapeDtypeStruct((2,), jnp.int32),
        "turned": jax.ShapeDtypeStruct((3,), jnp.float32),
        "parts": (jax.ShapeDtypeStruct((1,), jnp.float32), jax.ShapeDtypeStruct((4,), jnp.int8)),
    }


def test_double_precision_is_kept_where_jax_has_it(x64):
    space = spaces.Box(-1, 1, (3,), np.float64)
    assert observation_example(space) == jax.ShapeDtypeStruct((3,), jnp.float64)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(4),
        spaces.MultiDiscrete([2, 2]),
        spaces.Text(5),
        spaces.Dict({"room": spaces.Discrete(4), "joints": spaces.Box(-1, 1)}),
        spaces.Tuple([spaces.Discrete(4)]),
    ],
)
def test_an_unusable_observation_space_is_refused_with_a_remedy_that_works(space):
    with pytest.raises(ValueError, match="is not a Box") as refusal:
        observation_example(space)
    (wrapper,) = re.findall(r"--wrapper (\S+) makes one Box", str(refusal.value))
    env = gymnasium.Env()
    env.observation_space = space
    (wrapped,) = EnvOptions(wrappers=(wrapper,)).layers(env)
    assert observation_example(wrapped.observation_space).shape


def test_spaces_of_no_fixed_size_need_a_wrapper_of_ones_own():
    for space in (spaces.Sequence(spaces.Box(-1, 1)), None):
        with pytest.raises(ValueError, match=r"is not a Box.* returns arrays of one shape"):
            observation_example(space)


@pytest.mark.parametrize("space", [spaces.Dict(), spaces.Tuple([])])
def test_an_observation_space_without_parts_is_refused(space):
    with pytest.raises(ValueError, match="empty"):
        observation_example(space)


def test_an_observation_dtype_that_jax_lacks_is_refused():
    with pytest.raises(ValueError, match="JAX lacks"):
        observation_example(spaces.Box(-1, 1, (2,), np.longdouble))


def test_in_jax_actions_are_mapped_to_the_same_asymmetric_bounds():
    low = np.float32([[0.1, -3.7], [1, -0.3]])
    high = np.float32([[0.7, 11.3], [4, 0.1]])
    mapped = action_map(spaces.Box(low, high))
    actions = np.random.default_rng(0).uniform(-1.5, 1.5, (50, 4)).astype(np.float32)
    actions[:3] = [[-1] * 4, [0] * 4, [1] * 4]
    in_jax = jax.vmap(mapped.in_jax)(actions)
    assert in_jax.dtype == jnp.float32
    np.testing.assert_allclose(in_jax, mapped(actions), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(in_jax[:3], [low, (low + high) / 2, high], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (-0.4, 0.4), (-2, 6), (0, 1e3), (3, 7)])
def test_actions_in_units_of_the_environment_map_back(low, high):
    space = spaces.Box(low, high, (2, 3), np.float32)
    to_env = action_map(space)
    unit = np.random.default_rng(0).uniform(-1, 1, (500, 6)).astype(np.float32)
    unit[:2] = np.array([[-1], [1]])
    exact = to_env._replace(dtype=np.dtype(np.float64))
    np.testing.assert_array_equal(to_env.inverse(exact(unit)).astype(np.float32), unit)
    np.testing.assert_allclose(to_env.inverse(to_env(unit)), unit, atol=1e-6)
    assert np.abs(to_env.inverse(np.stack([space.low, space.high]))).min() == 1


@pytest.mark.parametrize("kind", [spaces.Dict, spaces.Tuple])
def test_advice_on_a_part_of_an_observation_is_not_the_one_on_an_array(kind):
    far = spaces.Box(0, 2**40, (1,), np.int64)
    space = spaces.Dict({"t": far}) if kind is spaces.Dict else spaces.Tuple([far])
    with pytest.raises(ValueError, match="rescale that part") as refusal:
        observation_example(space)
    assert "lambda observation: (observation" not in str(refusal.value)
