"""Worker processes that decode and encode, so that devices do not wait; they may die without ending the run."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from dnr_jax.batch.photo_tasks import start_worker


class WorkerDiedError(RuntimeError):
    """A task ended the process that ran it, twice."""


class Task:
    """A call on its way; `result` repeats it, alone, where its process died."""

    def __init__(self, workers: "Workers", function: Callable[..., Any], args: tuple[Any, ...]):
        self._workers, self._function, self._args = workers, function, args
        self._generation, self._future = workers.start(function, args)

    def done(self) -> bool:
        """Whether `result` would return at once."""
        return self._future.done()

    def result(self) -> Any:
        """What the call returns.

        Raises:
          WorkerDiedError: its process died, and again when it was alone.
          Exception: whatever the call raises.
        """
        try:
            return self._future.result()
        except BrokenProcessPool:
            # Any of the tasks then in flight may be the culprit: each is tried again by itself.
            return self._workers.run_alone(self._generation, self._function, self._args)


class Workers:
    """A pool of processes, started anew when one of them dies.

    Args:
      count: processes; 0 runs tasks in a thread of this process.
    """

    def __init__(self, count: int):
        self._count = count
        self._generation = 0
        self._pool = self._make_pool()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, function: Callable[..., Any], *args: Any) -> Task:
        """Calls `function(*args)`, both picklable, in some worker."""
        return Task(self, function, args)

    def start(self, function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[int, Future]:
        """Hands a call to the pool; the number of the pool and the future."""
        try:
            return self._generation, self._pool.submit(function, *args)
        except BrokenProcessPool:
            self._restart(self._generation)
            return self._generation, self._pool.submit(function, *args)

    def run_alone(self, generation: int, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Repeats a call whose pool `generation` broke, in a process of its own."""
        self._restart(generation)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, context, start_worker) as pool:
            try:
                return pool.submit(function, *args).result()
            except BrokenProcessPool:
                raise WorkerDiedError("it ended the process that worked on it, twice (out of memory?)") from None

    def _restart(self, generation: int) -> None:
        if generation == self._generation:
            self._generation += 1
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = self._make_pool()

    def _make_pool(self) -> Executor:
        if not self._count:
            return ThreadPoolExecutor(1)
        return ProcessPoolExecutor(self._count, multiprocessing.get_context("spawn"), start_worker)


def default_workers() -> int:
    """As many workers as this process may use cores, up to 32."""
    return min(32, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
