"""No sweep is mixed with another one."""

import pytest

from jaxsac.runs.directory.directory import RunDirectoryError
from jaxsac.sweeps.sweep_file import NAME, claim
from run_examples import small_run

GRID = ("batch_size=8,16", "gamma=0.9,0.99")


def begun(folder, *sweep):
    """A sweep of which a run has begun."""
    claim(folder, *sweep)
    (folder / "all").mkdir()
    (folder / "all" / "manifest.json").write_text("{}")


def test_the_same_sweep_goes_on_also_with_more_steps_and_what_changes_nothing(tmp_path):
    folder = tmp_path / "deep" / "sweep"
    begun(folder, small_run(), GRID, None)
    written = (folder / NAME).read_bytes()
    claim(folder, small_run(steps=100, checkpoint_every=9), (*reversed(GRID), GRID[0]), None)
    assert (folder / NAME).read_bytes() == written


@pytest.mark.parametrize(
    ("settings", "swept", "samples", "said"),
    [
        ({}, ("batch_size=8,32", GRID[1]), None, r"set: \['batch_size=8,16', .* there, \['batch"),
        ({}, GRID, 3, "samples: None there, 3 asked for"),
        ({"seeds": 5}, GRID, None, "seeds: 2 there, 5 asked for"),
        ({"utd": 0.5}, GRID, None, "utd: 1.0 there, 0.5 asked for"),
    ],
)
def test_another_sweep_is_refused(tmp_path, settings, swept, samples, said):
    begun(tmp_path, small_run(), GRID, None)
    with pytest.raises(RunDirectoryError, match=rf"holds another sweep \({said}"):
        claim(tmp_path, small_run(**settings), swept, samples)


def test_what_was_refused_before_a_run_began_may_be_put_right(tmp_path):
    claim(tmp_path, small_run(env="Nowhere-v0", replay_capacity=10**12), GRID, None)
    begun(tmp_path, small_run(), GRID[:1], 3)
    claim(tmp_path, small_run(), GRID[:1], 3)


def test_where_a_run_lies_no_sweep_does(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(RunDirectoryError, match="is a run: a sweep needs a directory of its own"):
        claim(tmp_path, small_run(), GRID, None)
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"set": 1}'])
def test_a_damaged_file_is_named(tmp_path, content):
    begun(tmp_path, small_run(), GRID, None)
    (tmp_path / NAME).write_text(content)
    with pytest.raises(RunDirectoryError, match=r"sweep\.json cannot be read"):
        claim(tmp_path, small_run(), GRID, None)
