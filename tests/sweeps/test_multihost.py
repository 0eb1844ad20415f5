"""Meeting other processes takes nothing away from this one."""

import signal
import socket
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console

from jaxsac.sweeps import multihost, plan
from jaxsac.sweeps.launch import LaunchError
from run_examples import small_run

JOIN = """
import os, signal, sys
from jaxsac.sweeps.multihost import join
assert join(f"127.0.0.1:{sys.argv[1]}", 1, 0) == (0, 1)
os.kill(os.getpid(), signal.SIGTERM)
"""


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_sigterm_ends_a_process_that_has_joined():
    joined = subprocess.run([sys.executable, "-c", JOIN, str(free_port())], check=False)
    assert joined.returncode == -signal.SIGTERM


def test_where_nothing_can_be_found_out_it_is_said_what_to_give():
    code = "from jaxsac.sweeps.multihost import join; join(None, None, None)"
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "give --coordinator host:port, --workers and --process-id" in failed.stderr


def test_a_process_that_fails_is_not_waited_for(tmp_path):
    parts = plan.split(plan.groups(small_run(seeds=2), ())[0], 2)
    with pytest.raises(ValueError, match="no room"), multihost.telling_others(tmp_path, 1):
        raise ValueError("no room")
    console = Console(file=StringIO())
    with pytest.raises(LaunchError, match="process 1 failed: ValueError: no room"):
        multihost.wait(parts, tmp_path, console)
    multihost.forget_failures(tmp_path)
    assert list(tmp_path.iterdir()) == []
