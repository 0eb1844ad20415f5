"""What a job of submitit does at its end."""

import signal

import pytest

from jaxsac.sweeps import plan
from jaxsac.sweeps.executors import _SlurmCall
from jaxsac.sweeps.launch import TrainingError, train_part
from run_examples import small_run


def test_a_stopped_job_leaves_no_result_so_that_slurm_may_run_it_again(tmp_path):
    (group,) = plan.groups(small_run(env="probe_environments:Interrupted-v0", seeds=1), ())
    before = signal.getsignal(signal.SIGUSR2)
    try:
        with pytest.raises(SystemExit) as end:
            _SlurmCall(train_part, group, tmp_path)()
        assert end.value.code == 1
        assert _SlurmCall(train_part, group, tmp_path)() is None
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_a_job_whose_training_fails_says_so_in_its_result(tmp_path):
    (group,) = plan.groups(small_run(env="probe_environments:Broken-v0", seeds=1), ())
    before = signal.getsignal(signal.SIGUSR2)
    try:
        failure = _SlurmCall(train_part, group, tmp_path)()
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert isinstance(failure, TrainingError)
    assert str(failure) == "RuntimeError: the simulator broke"
