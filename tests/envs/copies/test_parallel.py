"""Copies in worker processes: faults arrive with their names, and no process is left behind."""

import contextlib
import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing import resource_tracker

import gymnasium
import numpy as np
import psutil
import pytest

import jaxsac
import probe_environments
from assertions import assert_identical
from jaxsac.envs import host
from jaxsac.envs.checked import is_fault
from jaxsac.envs.copies import step_memory, worker_process
from jaxsac.envs.copies.in_turn import InTurn
from jaxsac.envs.copies.parallel import ParallelGroup, WorkerError
from jaxsac.envs.options import EnvOptions
from jaxsac.envs.spaces import SpaceError
from run_examples import make_envs, small_run

EVENTFUL = "test_parallel:Eventful"


class UnportableError(Exception):
    def __init__(self, code):
        super().__init__(f"broke with code {code}")


class Eventful(probe_environments.Drift):
    """Something happens in one step after the other of its life, in the copy of seed 7."""

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            self.chosen, self.steps = seed == 7, 0
        return super().reset(seed=seed, options=options)

    def step(self, action):
        self.steps += 1
        if self.chosen and self.steps == 2:
            raise KeyError("no such joint")
        if self.chosen and self.steps == 4:
            time.sleep(60)
        if self.chosen and self.steps == 6:
            raise UnportableError(7)
        if self.chosen and self.steps == 8:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(action)


def test_faults_arrive_with_their_names_and_leave_everything_as_it_was(monkeypatch):
    names = ["seed 0", "seed 1", "seed 2"]
    group = ParallelGroup(EVENTFUL, names, workers=2, timeout=1)
    envs, action = host.HostEnvs(group, 3), np.ones((3, 1, 2), np.float32)
    pids = [child.pid for child in multiprocessing.active_children()]
    assert len(pids) == 2
    envs.reset([5, 6, 7])

    def step_of_fault(kind, said, where):
        envs.step(action)
        before = envs.snapshot()
        with pytest.raises(kind, match=said) as raised:
            envs.step(action)
        assert is_fault(raised.value)
        assert where in raised.value.__notes__[0]
        after = envs.snapshot()
        assert_identical(before[1:], after[1:])
        assert [len(log.actions) for log in after.logs] == [len(log.actions) for log in before.logs]
        return raised.value

    error = step_of_fault(KeyError, "no such joint", f"step 2 of an episode of {EVENTFUL}, seed 2.")
    assert "in step\n    raise KeyError" in str(error.__cause__), "where it was raised"
    for pid in pids:  # what makes a run save and stop is not for its workers
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            os.kill(pid, number)
    step_of_fault(
        TimeoutError, "no answer within 1 seconds", f"step 4 of an episode of {EVENTFUL}, seed 2."
    )
    step_of_fault(UnportableError, "broke with code 7", "step 6")
    step_of_fault(WorkerError, "ended by SIGKILL", f"a worker process with {EVENTFUL}, seed 2.")
    os.kill(group._workers[0]._process.pid, signal.SIGSTOP)
    monkeypatch.setattr(worker_process, "GRACE", 0.1)
    with pytest.raises(TimeoutError, match=r"no answer within 2\.2 seconds") as raised:
        envs.step(action)
    assert f"a worker process with {EVENTFUL}, seed 0 to seed 1." in raised.value.__notes__[0]
    envs.close()
    assert not multiprocessing.active_children()


def test_a_process_that_may_start_none_says_so(monkeypatch):
    monkeypatch.setitem(multiprocessing.process.current_process()._config, "daemon", True)  # pyright: ignore
    with pytest.raises(ValueError, match=r"env_workers 3: this process is a daemon.*Leave it at 0"):
        ParallelGroup("Pendulum-v1", ["seed 0"], 3)


@pytest.mark.parametrize(
    ("script", "remedy"),
    [
        ("train.py", "train under `if __name__ == '__main__':`"),
        ("<stdin>", "as a file, or with -c"),
    ],
)
def test_a_process_that_is_never_ready_has_a_remedy_that_helps(script, remedy, monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", script, raising=False)
    assert remedy in worker_process._why_unready()


def test_what_cannot_be_made_there_is_refused_and_leaves_no_process(capfd):
    for options in (
        EnvOptions(function=lambda: probe_environments.Drift()),
        EnvOptions(wrappers=(lambda env: env,)),
    ):
        with pytest.raises(ValueError, match=r"not found by its name.*--env-workers 0"):
            ParallelGroup("test_parallel:<lambda>", ["seed 0"], 1, options=options)
    with pytest.raises(ValueError, match=r"env_kwargs .* cannot be sent .*--env-workers 0"):
        ParallelGroup("Pendulum-v1", ["seed 0", "seed 1"], 2, options=EnvOptions({"g": lambda: 1}))
    assert "Traceback" not in capfd.readouterr().err, "of the worker that was not asked"
    with pytest.raises(Exception, match=r"[pP]ickle") as raised:
        ParallelGroup("test_parallel:Unsendable", ["seed 0"], 1)
    assert "could not send it" in raised.value.__notes__[0]
    with pytest.raises(ValueError, match="unknown environment id 'Nowhere-v0'"):
        make_envs(small_run(env="Nowhere-v0", env_workers=9, seeds=1))
    assert not multiprocessing.active_children()


class Unsendable(probe_environments.Drift):
    """Its space holds a function."""

    def __init__(self):
        super().__init__()
        vars(self.observation_space)["shown_by"] = lambda: None


class Keeping(gymnasium.Wrapper):
    """Observes the action of the step before as well, which it keeps as it was given."""

    def __init__(self):
        super().__init__(env := probe_environments.Drift())
        self.observation_space = gymnasium.spaces.Dict(
            {"kept": env.action_space, "position": env.observation_space}
        )

    def reset(self, *, seed=None, options=None):
        self.kept = np.zeros(2, np.float32)
        position, info = self.env.reset(seed=seed)
        return {"kept": self.kept, "position": position}, info

    def step(self, action):
        position, reward, terminated, truncated, info = self.env.step(action)
        observation, self.kept = {"kept": self.kept, "position": position}, action
        return observation, reward, terminated, truncated, info


@pytest.mark.parametrize(("in_file", "workers"), [(False, 2), (True, 1)], ids=["memfd", "file"])
def test_steps_in_shared_memory_are_those_of_copies_here(in_file, workers, monkeypatch):
    """Neither an environment that keeps its action nor who keeps a result sees the next step."""
    if in_file:
        monkeypatch.delattr(os, "memfd_create")
    resource_tracker.ensure_running()  # which has a file of its own
    files = os.listdir("/proc/self/fd")
    there = ParallelGroup("test_parallel:Keeping", list("abcde"), workers)
    here = InTurn([Keeping() for _ in range(5)])
    with contextlib.closing(there):
        for group in (there, here):
            group.reset(range(5))
        held = []
        for number in range(3):
            actions = np.random.default_rng(number).uniform(-1, 1, (5, 2)).astype(np.float32)
            held.append((there.step(actions), here.step(actions.copy())))
    assert held[1][0].observation["kept"].any()
    for ours, theirs in held:
        assert_identical(ours, theirs)
    del there, group
    assert len(os.listdir("/proc/self/fd")) == len(files), "the memory goes with its last array"


def test_memory_that_cannot_be_handed_over_leaves_no_process(monkeypatch):
    def fail(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(step_memory, "send", fail)
    with pytest.raises(OSError, match="Too many open files"):
        ParallelGroup("probe_environments:Drift", ["seed 0"], 1)
    assert not multiprocessing.active_children()


class Choosing(probe_environments.Drift):
    def __init__(self):
        super().__init__()
        self.action_space = gymnasium.spaces.Tuple([gymnasium.spaces.Discrete(2)])


def test_actions_that_cannot_be_learned_are_refused_as_they_are_here():
    with pytest.raises(SpaceError) as there:
        ParallelGroup("test_parallel:Choosing", ["seed 0"], 1)
    with pytest.raises(SpaceError) as here:
        host.HostEnvs([Choosing()], 1)
    assert str(there.value) == str(here.value)
    assert not multiprocessing.active_children()


PARENT = """
import multiprocessing, sys
import numpy as np
from jaxsac.envs import host
from jaxsac.envs.copies.parallel import ParallelGroup

if __name__ == "__main__":
    group = ParallelGroup("test_parallel:Stuck", ["seed 0", "seed 1"], 2)
    envs = host.HostEnvs(group, 2)
    envs.reset([0, 1])
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    envs.step(np.zeros((2, 1, 2), np.float32))
"""


class Stuck(probe_environments.Drift):
    """Never comes back from a step in the copy of seed 1."""

    def reset(self, *, seed=None, options=None):
        self.first = seed
        return super().reset(seed=seed, options=options)

    def step(self, action):
        if self.first == 1:
            print("stuck", flush=True)
            time.sleep(600)
        return super().step(action)


def test_options_go_by_name_and_make_the_same_there():
    options = EnvOptions(wrappers=(Shifted,), function=probe_environments.Drift)
    there = options.by_name("probe_environments:Drift")
    assert there == EnvOptions(wrappers=("test_parallel:Shifted",))
    with pytest.raises(ValueError, match="not found by its name"):
        options.by_name(EVENTFUL)  # which is another class
    group = ParallelGroup("probe_environments:Drift", ["seed 0"], 1, options=options)
    here = host.HostEnvs([Shifted(probe_environments.Drift())], 1)
    with contextlib.closing(host.HostEnvs(group, 1)) as envs:
        assert_identical(envs.reset([3]), here.reset([3]))


class Shifted(gymnasium.ObservationWrapper):
    def observation(self, observation):
        return observation + 1


def test_a_parent_that_is_killed_leaves_no_worker_idle_or_busy(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    folders = [os.path.dirname(__file__), os.path.dirname(probe_environments.__file__)]
    folders.append(os.path.dirname(jaxsac.__path__[0]))
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "parent.py"], text=True, stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(folders)},
    )  # fmt: skip
    workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2
    assert parent.stdout.readline() == "stuck\n"
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=120)
    for each in alive:
        each.kill()
    assert not alive


def never_made():
    time.sleep(60)


def test_making_a_copy_in_a_worker_has_a_limit_where_one_is_given():
    with pytest.raises(TimeoutError, match=r"no answer within 0\.2 seconds"):
        ParallelGroup("test_parallel:never_made", ["seed 3"], 1, patience=0.2)
