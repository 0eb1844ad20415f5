"""Releases known to be bad are not installed, and are named where they are there all the same."""

import tomllib
from pathlib import Path

from jaxsac.runs import train
from jaxsac.runs.directory import releases
from run_examples import Listener, small_run


def test_training_says_what_is_odd_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(releases, "versions", lambda: {"jaxlib": "0.11.1"})
    listener = Listener()
    assert train.train(small_run(reward_scale_bound=2.0), tmp_path / "run", listener)
    (said,) = [text for text in listener.messages if "0.11.1" in text]
    assert "issues/40101" in said
    assert any(text.startswith("reward_scale_bound 2.0 has no") for text in listener.messages)


def test_nothing_is_said_of_a_good_release(monkeypatch):
    monkeypatch.setattr(releases, "versions", lambda: {"jaxlib": "0.10.2"})
    said = []
    releases.warn(said.append)
    assert said == []


def test_bad_releases_are_excluded_from_what_is_installed():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    for release in releases.KNOWN_BAD:
        assert f"jaxlib!={release}" in project["project"]["dependencies"]
