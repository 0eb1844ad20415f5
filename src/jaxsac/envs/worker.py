"""A process that holds some copies of an environment and does with them what it is told."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

import gymnasium
import jax

from jaxsac.envs.checked import GRACE
from jaxsac.envs.group import Group
from jaxsac.envs.registry import redirect_mujoco_warnings

SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1")
"""A run heeds these; they often go to all of its processes."""


class Answer(NamedTuple):
    """What comes of a request."""

    value: Any = None
    error: Exception | None = None
    text: str = ""
    """Where the error was raised, which it does not carry to another process."""


def serve(connection: Connection, x64: bool) -> None:
    """Makes copies and does what is asked of them, until the connection closes.

    The first message is a pickled function that makes the copies, answered with their spaces. The
    others are the name of a method of `Group` and its arguments.

    Args:
      connection: to the process that asks.
      x64: whether JAX has 64 bits there.
    """
    _leave_signals_to_parent()
    threading.Thread(target=_end_after_parent, daemon=True).start()
    jax.config.update("jax_platforms", "cpu")  # no device is needed; none is taken
    jax.config.update("jax_enable_x64", x64)
    redirect_mujoco_warnings()
    with contextlib.ExitStack() as closing, contextlib.suppress(EOFError, OSError):
        function = connection.recv_bytes()
        made = _answer(lambda: Group(_unpickled(function)()))
        if made.error is not None:
            connection.send(made)
            return
        group: Group = made.value
        closing.callback(group.close)
        connection.send(Answer((group.observation_space, group.action_space)))
        while True:
            method, arguments = connection.recv()
            connection.send(_answer(getattr(group, method), *arguments))


def _unpickled(function: bytes) -> Callable[[], Sequence[gymnasium.Env]]:
    """What makes the copies.

    Raises:
      ValueError: it cannot be found here.
    """
    try:
        return pickle.loads(function)
    except Exception as error:
        raise ValueError(
            f"what makes the environment cannot be found by a worker process ({error}): define it "
            "in a module that can be imported, or leave out the workers (--env-workers 0)."
        ) from error


def _answer(function: Callable[..., Any], *arguments: Any) -> Answer:
    try:
        return Answer(function(*arguments))
    except Exception as error:
        return Answer(error=_portable(error), text=traceback.format_exc())


def _portable(error: Exception) -> Exception:
    """The error, or one that says the same where it does not arrive elsewhere as it is."""
    with contextlib.suppress(Exception):
        if str(pickle.loads(pickle.dumps(error))) == str(error):
            return error
    other = RuntimeError(f"{type(error).__name__}: {error}")
    for note in getattr(error, "__notes__", ()):
        other.add_note(note)
    return other


def _leave_signals_to_parent() -> None:
    """Does nothing at a signal that makes a run save and stop.

    Not SIG_IGN, which programs that an environment starts would inherit.
    """
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    for number in numbers:
        signal.signal(number, lambda *_: None)
    if hasattr(signal, "pthread_sigmask"):  # blocked by the parent until now
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


def _end_after_parent() -> None:
    """Ends this process soon after its parent, whatever an environment is at."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        time.sleep(GRACE)  # for the copies to be closed
        os._exit(1)
