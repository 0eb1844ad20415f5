"""Copies of an environment in several processes, several in each, stepped side by side."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np

from jaxsac import named
from jaxsac.envs.action_log import ActionLog
from jaxsac.envs.copies.group import Followed, Restarted, Stepped
from jaxsac.envs.copies.step_memory import Layout, StepMemory
from jaxsac.envs.copies.worker import Copies
from jaxsac.envs.copies.worker_process import WorkerError as WorkerError
from jaxsac.envs.copies.worker_process import WorkerProcess
from jaxsac.envs.options import EnvOptions
from jaxsac.types import PyTree

T = TypeVar("T")


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
          ValueError: options that are not found by their names, copies that differ, or a process
            that may start none.
          WorkerError: a process ends before it has made its copies.
          Exception: what `registry.make` raises.
        """
        if multiprocessing.current_process().daemon:
            raise ValueError(
                f"env_workers {workers}: this process is a daemon, as those of a "
                "multiprocessing.Pool are, and may start none. Leave it at 0, or use a "
                "concurrent.futures.ProcessPoolExecutor."
            )
        parts = [part.tolist() for part in np.array_split(names, min(workers, len(names)))]
        found_there = (options or EnvOptions()).by_name(env_id)
        self._slices = _slices([len(part) for part in parts])
        self._workers: list[WorkerProcess] = []
        try:
            for part in parts:
                self._workers.append(WorkerProcess(env_id, part, timeout))
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

    def _answers(self, workers: Sequence[WorkerProcess]) -> list[Any]:
        """All of them, so that none is left in a pipe; then the first error, in order of copies."""
        answers = [worker.answer() for worker in workers]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers


def _slices(sizes: Sequence[int]) -> list[slice]:
    ends = np.cumsum(sizes).tolist()
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def _joined(parts: Sequence[PyTree]) -> Any:
    """Rows of all workers, in the order of the copies."""
    return jax.tree.map(lambda *rows: np.concatenate(rows), *parts)
