"""What takes too long is ended, and nothing else."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from jaxsac.envs.deadline import deadline


def test_a_deadline_that_is_kept_leaves_no_trace():
    before = signal.getsignal(signal.SIGALRM)
    with deadline(0.05):
        pass
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    time.sleep(0.1)  # an alarm that was still set would end the tests


def test_an_alarm_that_is_set_already_goes_on():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(time.monotonic()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with deadline(60):
            time.sleep(0.2)
        time.sleep(0.05)
        assert len(rung) == 1, "it was due meanwhile"
        signal.setitimer(signal.ITIMER_REAL, 30)
        with deadline(60):
            time.sleep(0.01)
        assert 20 < signal.getitimer(signal.ITIMER_REAL)[0] < 30
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_alarm_of_native_code_is_left_alone(monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    monkeypatch.setattr(signal, "signal", lambda *_: pytest.fail("cannot be put back"))
    with deadline(60):
        pass


STUCK = """
import signal, time
import gymnasium
import numpy as np
from jaxsac.envs import checked, deadline

class Stuck(gymnasium.Env):
    observation_space = action_space = gymnasium.spaces.Box(-1, 1, (1,))
    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}
    def step(self, action):
        # As native code would: no signal comes through.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        time.sleep(60)

deadline.GRACE = 0.2
env = checked.CheckedEnv(Stuck(), "Stuck, seed 3", timeout=0)
env.reset()
env.timeout = 0.2
time.sleep(1.5)
print("still here", flush=True)
env.step(np.zeros(1))
"""


@pytest.mark.parametrize(
    "before",
    [
        "",
        "import signal; del signal.setitimer",  # as on Windows
        "import io, sys; sys.stderr = io.StringIO()",
    ],
)
def test_code_that_no_signal_stops_ends_the_process_and_is_named(before):
    start = time.monotonic()
    program = f"{before}\n{STUCK}"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert time.monotonic() - start < 50
    assert ended.returncode == 1
    assert ended.stdout == "still here\n", "what returns in time is left alone"
    assert "step 1 of an episode of Stuck, seed 3 does not return" in ended.stderr
    assert "Traceback" not in ended.stderr


SUSPENDED = """
import os, signal, subprocess, time
from jaxsac.envs import deadline

deadline.PULSE, deadline.STANDSTILL, deadline.GRACE = 0.02, 0.5, 0.5
for _ in range(2):
    with deadline.deadline(1.0):
        subprocess.Popen(["sh", "-c", f"sleep 1.5; kill -CONT {os.getpid()}"])
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.2)
try:
    with deadline.deadline(0.2):
        time.sleep(30)
except TimeoutError:
    print("the next one counts")
"""


def test_time_in_which_the_process_is_suspended_does_not_count():
    ended = subprocess.run([sys.executable, "-c", SUSPENDED], capture_output=True, text=True)
    assert (ended.stdout, ended.returncode) == ("the next one counts\n", 0), ended.stderr


def test_in_other_threads_a_deadline_does_nothing():
    done = []

    def work():
        with deadline(0.01):
            time.sleep(0.1)
        done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
