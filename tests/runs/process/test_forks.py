"""A fork of a process that has computed lacks the threads of JAX."""

import os

import pytest

from jaxsac.runs import train
from jaxsac.runs.process import forks
from run_examples import Listener, small_run


def test_a_fork_of_a_process_in_which_a_run_has_computed_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(forks, "_computed_in", {os.getppid()})
    with pytest.raises(ValueError, match="forked from one in which a run has computed"):
        train.train(small_run(), tmp_path / "run", Listener())
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_a_process_may_compute_again_and_a_fork_before_the_first_time(monkeypatch):
    monkeypatch.setattr(forks, "_computed_in", set())
    forks.check()
    forks.check()
    assert forks._computed_in == {os.getpid()}
