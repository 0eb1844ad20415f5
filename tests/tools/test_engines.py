"""What a job of submitit does at its end."""

import signal

import pytest

from jaxsac.runner import sweep
from jaxsac.tools.engines import _SlurmWork
from jaxsac.tools.launch import Outcome
from run_examples import small_run

pytestmark = pytest.mark.usefixtures("shared_compilation")


def test_a_stopped_job_leaves_no_result_so_that_slurm_may_run_it_again(tmp_path):
    (group,) = sweep.plan(small_run(env="probe_environments:Interrupted-v0", seeds=1), ())
    before = signal.getsignal(signal.SIGUSR2)
    try:
        with pytest.raises(SystemExit) as end:
            _SlurmWork(group, tmp_path)()
        assert end.value.code == 1
        assert _SlurmWork(group, tmp_path)() == Outcome("complete")
    finally:
        signal.signal(signal.SIGUSR2, before)
