"""Data sets as files hold them, and as learners get them."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from jaxsac.data import datasets

VECTOR = jax.ShapeDtypeStruct((2,), jnp.float32)
NESTED = {"image": jax.ShapeDtypeStruct((2, 1), jnp.uint8), "parts": (VECTOR, VECTOR)}
COUNT = 6


def arrays(**changes):
    """Two episodes: the first terminates in its third step, the second meets a time limit."""
    states = np.random.default_rng(0).normal(size=(COUNT + 2, 2))
    found = {
        "observation": np.delete(states, [3, 7], axis=0),
        "next_observation": np.delete(states, [0, 4], axis=0),
        "action": np.random.default_rng(1).uniform(-2, 2, (COUNT, 1)),
        "reward": np.arange(COUNT),
        "terminated": np.arange(COUNT) == 2,
    }
    found |= changes
    return {name: array for name, array in found.items() if array is not None}


@pytest.fixture
def written(tmp_path):
    def write(example=VECTOR, /, **changes):
        np.savez(tmp_path / "data.npz", **arrays(**changes))
        return datasets.read(str(tmp_path / "data.npz"), example)

    return write


def test_a_file_is_found_from_home(written, tmp_path, monkeypatch):
    steps, _ = written()
    monkeypatch.setenv("HOME", str(tmp_path))
    there, _ = datasets.read("~/data.npz", VECTOR)
    np.testing.assert_array_equal(there.observation, steps.observation)


def test_a_time_limit_is_no_termination_and_both_end_an_episode(written):
    steps, over = written()
    np.testing.assert_array_equal(steps.discount, [1, 1, 0, 1, 1, 1])
    np.testing.assert_array_equal(over, [0, 0, 1, 0, 0, 1])
    assert {leaf.dtype for leaf in jax.tree.leaves(steps[:1] + steps[2:])} == {np.dtype("float32")}
    expected = arrays()
    np.testing.assert_array_equal(steps.action, expected["action"])
    np.testing.assert_array_equal(
        steps.next_observation, expected["next_observation"].astype(np.float32)
    )


def test_the_true_next_observation_ends_an_episode_that_nothing_marks(written):
    terminated = np.zeros(COUNT, bool)
    steps, over = written(terminated=terminated)
    assert (steps.discount == 1).all()
    np.testing.assert_array_equal(over, [0, 0, 1, 0, 0, 1])


def test_flags_end_an_episode_that_goes_on_in_the_state_where_it_was_cut(written):
    observation = np.zeros((COUNT, 2))
    truncated = np.arange(COUNT) == 3
    _, over = written(
        observation=None, next_observation=None, observations=observation,
        next_observations=observation, truncations=truncated,
    )  # fmt: skip
    np.testing.assert_array_equal(over, [0, 0, 1, 1, 0, 1])


@pytest.mark.parametrize(
    "flags",
    [
        {"discount": [1, 1, 0, 1, 1, 1]},
        {"terminations": [0, 0, 1, 0, 0, 0]},
        {"terminals": [False, False, True, False, False, False]},
    ],
)
def test_terminations_have_several_names(written, flags):
    flags = {name: np.array(values) for name, values in flags.items()}
    steps, _ = written(terminated=None, **flags)
    np.testing.assert_array_equal(steps.discount, [1, 1, 0, 1, 1, 1])


def nested_arrays():
    rng = np.random.default_rng(2)
    names = {"image": (2, 1), "parts/0": (2,), "parts/1": (2,)}
    return {
        f"{prefix}observation/{name}": rng.integers(0, 255, (COUNT, *shape))
        for prefix in ("", "next_")
        for name, shape in names.items()
    }


def test_observations_of_several_arrays_are_there_by_their_paths(written):
    expected = nested_arrays()
    steps, _ = written(NESTED, observation=None, next_observation=None, **expected)
    assert datasets.names_of("observation", NESTED) == [
        "observation/image", "observation/parts/0", "observation/parts/1",
    ]  # fmt: skip
    assert steps.observation["image"].dtype == np.uint8
    np.testing.assert_array_equal(
        steps.next_observation["parts"][1], expected["next_observation/parts/1"]
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"observation": np.zeros((COUNT, 3))}, r"rows of shape \[3\], the env.*\[2\]"),
        ({"next_observation": np.zeros((COUNT, 2), complex)}, "of dtype complex128"),
        ({"reward": np.zeros((COUNT, 1))}, r"reward is float64\[6, 1\]"),
        ({"reward": np.zeros(COUNT + 1)}, r"one number of rows.*reward: \[7\]"),
        ({"reward": np.where(np.arange(COUNT) < 4, 0, np.nan)}, "2 of 6 rows, row 4 the first"),
        ({"observation": np.full((COUNT, 2), 1e300)}, "a NaN or an infinity in 6 of 6 rows"),
        ({"terminated": np.full(COUNT, 0.5)}, "terminated has values other than 0 and 1"),
        ({"terminated": None}, r"lacks terminated \(or discount\)"),
        ({"discount": np.ones(COUNT)}, "terminated and discount disagree"),
        ({"discount": np.full(COUNT, 2.0), "terminated": None}, "from 2.0 to 2.0"),
        ({"observation": None, "observation/x": np.zeros((COUNT, 2))}, "lacks observation and has"),
        ({"action": None}, "lacks action"),
        ({"terminals": np.zeros(COUNT)}, "has both terminated and terminals, which are one"),
        ({name: array[:0] for name, array in arrays().items()}, "at least 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(written, tmp_path, changes, said):
    with pytest.raises(ValueError, match=said) as raised:
        written(**changes)
    assert str(tmp_path / "data.npz") in str(raised.value)


def test_one_row_is_an_episode(written):
    steps, over = written(**{name: array[:1] for name, array in arrays().items()})
    assert len(steps.reward) == len(over) == 1
    assert over[0]


def test_whole_numbers_have_to_survive(written):
    pixels = nested_arrays() | {"observation/image": np.full((COUNT, 2, 1), 256)}
    changes = {"observation": None, "next_observation": None, **pixels}
    with pytest.raises(ValueError, match="from 256 to 256, which the environment's uint8"):
        written(NESTED, **changes)
    changes["observation/image"] = np.zeros((COUNT, 2, 1))
    with pytest.raises(ValueError, match=r"of dtype float64, the env.* of uint8"):
        written(NESTED, **changes)


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        datasets.read(str(tmp_path / "nothing.npz"), VECTOR)
    (tmp_path / "text.npz").write_text("observation")
    np.savez(tmp_path / "objects.npz", observation=np.array([{}]))
    for name in ("text.npz", "objects.npz"):
        with pytest.raises(ValueError, match=rf"{name}: not a .npz of plain arrays"):
            datasets.read(str(tmp_path / name), VECTOR)


def test_minari_that_is_not_installed_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jaxsac\[minari\]'"):
        datasets.read("minari:D4RL/door/human-v2", VECTOR)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_data_set_of_minari_is_read_by_its_id_and_from_its_folder(monkeypatch, tmp_path):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    buffers = pytest.importorskip("minari.data_collector.episode_buffer")
    states = np.random.default_rng(0).normal(size=(7, 2))
    minari.create_dataset_from_buffers(
        "two/episodes-v0",
        [
            buffers.EpisodeBuffer(
                observations=states[first : first + 1 + count],
                actions=np.full((count, 1), 0.5),
                rewards=np.arange(count),
                terminations=np.arange(count) == (count - 1 if ends else count),
                truncations=np.zeros(count, bool),
            )
            for first, count, ends in ((0, 2, True), (3, 3, False))
        ],
        observation_space=spaces.Box(-np.inf, np.inf, (2,), np.float64),
        action_space=spaces.Box(-1, 1, (1,)),
    )
    for name in ("two/episodes-v0", str(tmp_path / "two/episodes-v0")):
        steps, over = datasets.read(f"minari:{name}", VECTOR)
        np.testing.assert_array_equal(steps.discount, [1, 0, 1, 1, 1])
        np.testing.assert_array_equal(over, [0, 1, 0, 0, 1])
        np.testing.assert_array_equal(steps.reward, [0, 1, 0, 1, 2])
        expected = states.astype(np.float32)
        np.testing.assert_array_equal(steps.observation, expected[[0, 1, 3, 4, 5]])
        np.testing.assert_array_equal(steps.next_observation, expected[[1, 2, 4, 5, 6]])
    with pytest.raises(ValueError, match=r"prior data minari:two/other-v0: .*not found locally"):
        datasets.read("minari:two/other-v0", VECTOR)
