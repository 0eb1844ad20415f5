"""A process that holds some copies of an environment and does with them what it is told."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsac import named
from jaxsac.envs.copies import mujoco_warnings, step_memory
from jaxsac.envs.copies.fault import Fault
from jaxsac.envs.copies.in_turn import InTurn
from jaxsac.envs.copies.step_memory import Layout
from jaxsac.envs.deadline import GRACE
from jaxsac.envs.options import EnvOptions
from jaxsac.envs.registry import make

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
"""A run heeds these; they often go to all of its processes."""


class Answer(NamedTuple):
    """What comes of a request."""

    value: Any = None
    fault: Fault | None = None


class Copies(NamedTuple):
    """What a worker makes: plain data, with functions by their names."""

    env_id: str
    names: tuple[str, ...]
    """What each copy is called in an error."""
    timeout: float
    options: EnvOptions
    patience: float
    """Seconds that making one may take; 0 for no limit."""

    def make(self) -> InTurn:
        """Makes them."""
        name = self.names.__getitem__
        return InTurn(
            make(self.env_id, len(self.names), name, self.timeout, self.options, self.patience)
        )


def serve(connection: Connection, x64: bool) -> None:
    """Makes copies and does what is asked of them, until the connection closes.

    The first message says which, and is answered with their spaces. The others are the name of a
    method of `Served` and its arguments.

    Args:
      connection: to the process that asks.
      x64: whether JAX has 64 bits there.
    """
    _leave_signals_to_parent()
    threading.Thread(target=_end_after_parent, daemon=True).start()
    jax.config.update("jax_platforms", "cpu")  # no device is needed; none is taken
    jax.config.update("jax_enable_x64", x64)
    mujoco_warnings.redirect()
    with contextlib.ExitStack() as closing, contextlib.suppress(EOFError, OSError):
        copies = connection.recv()
        if not isinstance(copies, Copies):  # to close already, as another worker was told nothing
            return
        made = _answer(copies.make)
        if made.fault is not None:
            connection.send(made)
            return
        served = Served(made.value, connection)
        closing.callback(served.close)
        _send(connection, Answer((served.group.observation_space, served.group.action_space)))
        while True:
            method, arguments = connection.recv()
            _send(connection, _answer(getattr(served, method), *arguments))


class Served:
    """What is done for the process that asks: the methods of `Group`, as they can be sent."""

    def __init__(self, group: InTurn, connection: Connection) -> None:
        self.group, self._connection = group, connection
        self.reset, self.restart, self.follow = group.reset, group.restart, group.follow
        self.close = group.close

    def ask_first(self, question: str, *arguments: Any) -> Any:
        """The function goes by its name."""
        return self.group.ask_first(named.find(question, "question"), *arguments)

    def share(self, layout: Layout, part: slice) -> None:
        """Takes the memory that is sent next, for steps of the copies `part`."""
        self._memory = step_memory.receive(self._connection, layout).rows(part)

    def step(self) -> None:
        """Takes the actions from the memory and leaves there what they led to."""
        # A copy, as an environment may keep the action that it was given.
        stepped = self.group.step(self._memory.actions.copy())
        jax.tree.map(np.copyto, self._memory.stepped, stepped)


def _answer(function: Callable[..., Any], *arguments: Any) -> Answer:
    try:
        return Answer(function(*arguments))
    except Exception as error:
        return Answer(fault=Fault.of(error))


def _send(connection: Connection, answer: Answer) -> None:
    """Sends an answer, or what is wrong with it if it cannot be sent."""
    try:
        connection.send(answer)
    except OSError:  # nobody is there any more
        raise
    except Exception as error:  # before anything of it was sent
        error.add_note("A worker process (--env-workers) could not send it.")
        connection.send(Answer(fault=Fault.of(error)))


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
