"""A process with copies of an environment, as seen from the one that trains."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker, util
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import jax
import numpy as np

from jaxsac.envs.checked import IN_ENVIRONMENT
from jaxsac.envs.copies import step_memory
from jaxsac.envs.copies.step_memory import Layout
from jaxsac.envs.copies.worker import SIGNALS, Copies, serve
from jaxsac.envs.deadline import GRACE


class WorkerError(RuntimeError):
    """A process with copies of an environment has ended by itself."""


class WorkerProcess:
    """A process with some of the copies, as seen from here."""

    def __init__(self, env_id: str, names: list[str], timeout: float) -> None:
        """Starts it.

        Args:
          env_id: of the environment, for a person.
          names: what its copies are called in an error.
          timeout: seconds that a reset or a step of a copy may take; 0 for no limit.
        """
        self._env_id, self.names, self._timeout = env_id, names, timeout
        self._owes, self._answered = False, False
        self._limit: float | None = None
        # Never a fork: JAX has threads.
        context = multiprocessing.get_context("spawn")
        x64 = jax.dtypes.canonicalize_dtype(np.float64) == np.float64
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=serve, args=(theirs, x64), name="jaxsac environments"
        )
        with _signals_held():
            self._process.start()
        theirs.close()  # or its end would go unnoticed
        # Also where nobody closes it: at the end of this process, which waits for its children.
        self._end = util.Finalize(self, _end, (self._process, self._connection), exitpriority=0)

    def begin(self, copies: Copies) -> None:
        """Asks for the copies to be made, which takes as long as it takes.

        Raises:
          ValueError: arguments that cannot be sent.
        """
        try:
            self._send(copies, None)
        except Exception as error:
            self.kill()  # it waits for what does not come
            raise ValueError(
                f"the env_kwargs {dict(copies.options.kwargs)} cannot be sent to a worker process "
                f"({error}): give plain data, or leave out the workers (--env-workers 0)."
            ) from error

    def share(self, layout: Layout, part: slice, file: int) -> None:
        """Hands it memory for steps, of which the rows `part` are its copies'."""
        self.ask("share", layout, part, calls=0)
        with contextlib.suppress(ConnectionError):  # as in `_send`
            step_memory.send(self._connection, self._process.pid, file)

    def ask(self, method: str, *arguments: Any, calls: int) -> None:
        """Asks for a method of `worker.Served`; `calls` of resets and steps come of it."""
        limit = calls * self._timeout + 2 * GRACE if self._timeout and calls else None
        self._send((method, arguments), limit)

    def _send(self, message: Any, limit: float | None) -> None:
        self._owes, self._limit = True, limit
        with contextlib.suppress(OSError):  # it has ended: `answer` says so
            self._connection.send(message)

    def answer(self) -> Any:
        """What came of what was asked; an exception too, also where there is no answer."""
        try:
            if not self._connection.poll(self._limit):
                self.kill()
                return self._fault(TimeoutError(f"no answer within {self._limit:g} seconds"))
            answer = self._connection.recv()
        except (EOFError, OSError):
            self._process.join(GRACE)
            how = _how_it_ended(self._process.exitcode)
            hint = "" if self._answered else _why_unready()
            return self._fault(WorkerError(f"the worker process {how}{hint}"))
        self._owes, self._answered = False, True
        return answer.value if answer.fault is None else answer.fault.error()

    def _fault(self, error: Exception) -> Exception:
        """With the copies named: all of them, as nobody knows which one it was."""
        first, last = self.names[0], self.names[-1]
        which = f"{self._env_id}, {first}" + (f" to {last}" if last != first else "")
        error.add_note(f"{IN_ENVIRONMENT}a worker process with {which}.")
        return error

    def begin_to_close(self) -> None:
        """Asks for the copies to be closed; or, where an answer is due, lets it end after that."""
        if self._owes:
            self._connection.close()
        else:
            self.ask("close", calls=len(self.names))
        self._patience = time.monotonic() + GRACE

    def close(self) -> None:
        """Waits for the copies to be closed, and for the process to end.

        Raises:
          Exception: what a copy raises when it is closed.
        """
        try:
            if not self._connection.closed:
                answer = self.answer()
                if isinstance(answer, Exception):
                    raise answer
        finally:
            if self._owes:
                self._process.join(max(0, self._patience - time.monotonic()))
                self._process.kill()
            self._end()

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()
        self._end()


def _end(process: BaseProcess, connection: Connection) -> None:
    """Closes the connection, at which the process closes its copies and ends; or it is killed."""
    connection.close()
    process.join(GRACE)
    process.kill()
    process.join()


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Holds back signals, here and in processes that are started, which let them in when ready."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which is started with the first process, and lets them in
    numbers = [getattr(signal, name) for name in SIGNALS]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _how_it_ended(status: int | None) -> str:
    if status is None or status >= 0:
        return f"ended by itself, with exit status {status}"
    names = {int(number): number.name for number in signal.Signals}
    return f"was ended by {names.get(-status, f'signal {-status}')}"


def _why_unready() -> str:
    """What a process that never got ready usually comes of."""
    script = str(getattr(sys.modules.get("__main__"), "__file__", ""))
    if script.endswith("<stdin>"):
        remedy = "cannot do so from standard input: give it to Python as a file, or with -c"
    else:
        remedy = "therefore has to train under `if __name__ == '__main__':` alone"
    imports = "Each worker imports the script that trains, which"
    return f", before it had made its copies. {imports} {remedy}"
