"""Copies of an environment in several processes, several in each, stepped side by side."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker, util
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import jax
import numpy as np

from jaxsac import named
from jaxsac.envs import step_memory
from jaxsac.envs.action_log import ActionLog
from jaxsac.envs.checked import IN_ENVIRONMENT
from jaxsac.envs.deadline import GRACE
from jaxsac.envs.group import Followed, Restarted, Stepped
from jaxsac.envs.options import EnvOptions
from jaxsac.envs.step_memory import Layout, StepMemory
from jaxsac.envs.worker import SIGNALS, Copies, serve
from jaxsac.types import PyTree

T = TypeVar("T")


UNREADY = (
    ", before it had made its copies. Each worker imports the script that trains, which therefore "
    "has to train under `if __name__ == '__main__':` alone"
)
"""What a process that never got ready usually comes of."""


class WorkerError(RuntimeError):
    """A process with copies of an environment has ended by itself."""


class ParallelGroup:
    """A `Group` whose copies are spread over worker processes; the rows keep their order."""

    def __init__(
        self,
        env_id: str,
        names: Sequence[str],
        workers: int,
        timeout: float = 0,
        options: EnvOptions | None = None,
        patience: float = 0,
    ) -> None:
        """Starts the processes and makes the copies in them.

        Args:
          env_id: as for `registry.make`.
          names: what each copy is called in an error.
          workers: number of processes; no more than there are copies are started.
          timeout: seconds that a reset or a step of a copy may take; 0 for no limit.
          options: how they are made; by the id alone by default.
          patience: seconds that making a copy may take; 0 for no limit.

        Raises:
          ValueError: options that are not found by their names, or copies that differ.
          WorkerError: a process ends before it has made its copies.
          Exception: what `registry.make` raises.
        """
        parts = [part.tolist() for part in np.array_split(names, min(workers, len(names)))]
        found_there = (options or EnvOptions()).by_name(env_id)
        self._slices = _slices([len(part) for part in parts])
        self._workers: list[_Worker] = []
        try:
            for part in parts:
                self._workers.append(_Worker(env_id, part, timeout))
            for worker, part in zip(self._workers, parts, strict=True):
                worker.begin(Copies(env_id, tuple(part), timeout, found_there, patience))
            spaces = self._answers(self._workers)
            if any(each != spaces[0] for each in spaces):
                raise ValueError(f"copies must be alike, got the spaces {spaces}.")
            self.observation_space, self.action_space = spaces[0]
            self._memory = self._share(
                Layout(self.observation_space, self.action_space, copies=len(names))
            )
        except BaseException:
            with contextlib.suppress(Exception):  # of copies that nobody gets
                self.close()
            raise

    def __len__(self) -> int:
        return self._slices[-1].stop

    def ask_first(self, question: Callable[..., T], *arguments: Any) -> T:
        """As `Group.ask_first`; the function goes by its name."""
        first = self._workers[0]
        first.ask("ask_first", named.name_of(question, "question"), *arguments, calls=0)
        return self._answers([first])[0]

    def reset(self, seeds: Sequence[int]) -> PyTree:
        """As `Group.reset`."""
        return _joined(self._ask_each("reset", [(seeds[part],) for part in self._slices]))

    def restart(self, indices: Sequence[int]) -> Restarted:
        """As `Group.restart`; `indices` ascend."""
        asked = []
        for worker, part in zip(self._workers, self._slices, strict=True):
            own = [i - part.start for i in indices if part.start <= i < part.stop]
            if own:
                worker.ask("restart", own, calls=len(own))
                asked.append(worker)
        observations, generators = zip(*self._answers(asked), strict=True)
        return Restarted(_joined(observations), list(itertools.chain(*generators)))

    def step(self, actions: np.ndarray) -> Stepped:
        """As `Group.step`; actions and results are in memory that the workers share."""
        np.copyto(self._memory.actions, actions)
        self._ask_each("step", [()] * len(self._workers))
        return jax.tree.map(np.copy, self._memory.stepped)

    def follow(self, logs: Sequence[ActionLog], actions: Sequence[np.ndarray]) -> Followed:
        """As `Group.follow`."""
        pairs = [(logs[part], actions[part]) for part in self._slices]
        calls = [sum(2 + len(each) for each in own) for _, own in pairs]
        return _joined(self._ask_each("follow", pairs, calls))

    def close(self) -> None:
        """Closes every copy, also after one that raises, and ends the processes."""
        workers, self._workers = self._workers, []
        with contextlib.ExitStack() as closing:
            for worker in reversed(workers):
                closing.callback(worker.close)
            for worker in workers:
                worker.begin_to_close()

    def _share(self, layout: Layout) -> StepMemory:
        """Memory of all copies, of which each worker has its rows."""
        file = layout.allocate()
        try:
            for worker, part in zip(self._workers, self._slices, strict=True):
                worker.share(layout, part, file)
            self._answers(self._workers)
            return layout.attach(file)
        finally:
            os.close(file)

    def _ask_each(
        self, method: str, arguments: Sequence[tuple[Any, ...]], calls: Sequence[int] | None = None
    ) -> list[Any]:
        calls = calls or [len(worker.names) for worker in self._workers]
        for worker, own, count in zip(self._workers, arguments, calls, strict=True):
            worker.ask(method, *own, calls=count)
        return self._answers(self._workers)

    def _answers(self, workers: Sequence[_Worker]) -> list[Any]:
        """All of them, so that none is left in a pipe; then the first error, in order of copies."""
        answers = [worker.answer() for worker in workers]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers


class _Worker:
    """A process with some of the copies, as seen from here."""

    def __init__(self, env_id: str, names: list[str], timeout: float) -> None:
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
            hint = "" if self._answered else UNREADY
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


def _slices(sizes: Sequence[int]) -> list[slice]:
    ends = np.cumsum(sizes).tolist()
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def _joined(parts: Sequence[PyTree]) -> Any:
    """Rows of all workers, in the order of the copies."""
    return jax.tree.map(lambda *rows: np.concatenate(rows), *parts)


def _how_it_ended(status: int | None) -> str:
    if status is None or status >= 0:
        return f"ended by itself, with exit status {status}"
    names = {int(number): number.name for number in signal.Signals}
    return f"was ended by {names.get(-status, f'signal {-status}')}"
